//! One row of the table for each run.

use jiff::Timestamp;

use crate::{
    api::{KanaryDeployment, Report, names},
    cli::{
        client::Fetched,
        clock,
        images::{self, Images},
        state_word, terminal,
    },
    objects::Object,
};

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Column {
    Namespace,
    Name,
    Status,
    Image,
    Traffic,
    Progress,
    Deployment,
    Service,
    Scale,
    Validation,
    Message,
}

impl Column {
    /// Its head.
    #[must_use]
    pub fn head(self) -> &'static str {
        match self {
            Self::Namespace => "NAMESPACE",
            Self::Name => "NAME",
            Self::Status => "STATUS",
            Self::Image => "IMAGE",
            Self::Traffic => "TRAFFIC",
            Self::Progress => "PROGRESS",
            Self::Deployment => "DEPLOYMENT",
            Self::Service => "SERVICE",
            Self::Scale => "SCALE",
            Self::Validation => "VALIDATION",
            Self::Message => "MESSAGE",
        }
    }
}

/// Which columns are shown, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// All columns, with nothing cut.
    pub wide: bool,
    /// Runs of several namespaces.
    pub namespaces: bool,
    /// Without the head.
    pub no_headers: bool,
}

impl Layout {
    /// In order.
    #[must_use]
    pub fn columns(self) -> Vec<Column> {
        use Column::{
            Deployment, Image, Message, Name, Namespace, Progress, Scale, Service, Status, Traffic, Validation,
        };
        let narrow = [Name, Status, Image, Traffic, Progress].into_iter();
        let more = [Deployment, Service, Scale, Validation].into_iter().filter(|_| self.wide);
        let namespace = Some(Namespace).filter(|_| self.namespaces);
        namespace.into_iter().chain(narrow).chain(more).chain([Message]).collect()
    }
}

/// The texts of a row.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Row {
    pub namespace: String,
    pub name: String,
    pub status: String,
    pub image: String,
    pub image_in_full: String,
    /// Where `web:1 → web:2` does not fit: `web:1 → 2`.
    pub image_compact: String,
    pub traffic: String,
    pub progress: String,
    pub deployment: String,
    pub service: String,
    pub scale: String,
    pub validation: String,
    pub message: String,
}

impl Row {
    /// A run, and the images of its base if they are known.
    #[must_use]
    pub fn new(kanary: &KanaryDeployment, base: Option<&Images>, now: Timestamp) -> Self {
        let status = kanary.status.clone().unwrap_or_default();
        let Report { scale, traffic, validation, .. } = status.report.unwrap_or_else(|| unprocessed(kanary));
        let change = images::change(base, &images::of_template(kanary));
        Self {
            namespace: kanary.namespace().to_owned(),
            name: kanary.name().to_owned(),
            status: state_word::of(kanary, now),
            image: images::in_short(&change),
            image_in_full: images::in_full(&change),
            image_compact: images::compact(&change),
            traffic,
            progress: clock::progress(kanary, now).column(),
            deployment: names::base(kanary),
            service: kanary.spec.service_name.clone().unwrap_or_else(|| "-".into()),
            scale,
            validation,
            message: status.message.unwrap_or_default(),
        }
    }

    /// One run; if it cannot be decoded, its name alone, so that the others are listed.
    #[must_use]
    pub fn of(fetched: &Fetched, base: Option<&Images>, now: Timestamp) -> Self {
        let unknown = || "?".to_owned();
        match &fetched.kanary {
            Ok(kanary) => Self::new(kanary, base, now),
            Err(_) => Self {
                namespace: fetched.namespace().to_owned(),
                name: fetched.name().to_owned(),
                status: unknown(),
                image: unknown(),
                image_in_full: unknown(),
                image_compact: unknown(),
                traffic: unknown(),
                progress: unknown(),
                deployment: unknown(),
                service: unknown(),
                scale: unknown(),
                validation: unknown(),
                message: unknown(),
            },
        }
    }

    /// The text of a column by its name in lower case.
    #[must_use]
    pub fn cell(&self, column: &str) -> &str {
        match column {
            "namespace" => &self.namespace,
            "status" => &self.status,
            "image" => &self.image,
            "traffic" => &self.traffic,
            "progress" => &self.progress,
            "deployment" => &self.deployment,
            "message" => &self.message,
            _ => &self.name,
        }
    }

    /// The texts of these columns.
    #[must_use]
    pub fn cells(&self, columns: &[Column], wide: bool) -> Vec<String> {
        let cell = |column: &Column| match column {
            Column::Namespace => &self.namespace,
            Column::Name => &self.name,
            Column::Status => &self.status,
            Column::Image if wide => &self.image_in_full,
            Column::Image => &self.image,
            Column::Traffic => &self.traffic,
            Column::Progress => &self.progress,
            Column::Deployment => &self.deployment,
            Column::Service => &self.service,
            Column::Scale => &self.scale,
            Column::Validation => &self.validation,
            Column::Message => &self.message,
        };
        columns.iter().map(cell).cloned().collect()
    }
}

/// Says on standard error why one cannot be decoded.
pub fn warn(fetched: &Fetched) {
    if let Err(why) = &fetched.kanary {
        terminal::complain(&format!("warning: {why}"));
    }
}

/// No controller has processed it yet.
fn unprocessed(kanary: &KanaryDeployment) -> Report {
    let traffic = kanary.spec.traffic.source.as_str().to_owned();
    Report { status: "-".into(), scale: "-".into(), traffic, validation: "-".into() }
}
