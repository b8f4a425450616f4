//! What a real istiod and a real Envoy do with mirrors, without Kanary: copies are counted where they arrive.

mod facts;
mod support;

use std::process::ExitCode;

use facts::{copies::*, gateway::*, obeyed::*, shared::*, uncopied::*};
use kanary_e2e::{Setup, cases, harness};

fn main() -> ExitCode {
    let cases = cases![
        a_share_of_requests_is_copied_and_production_answers_all: lab_only,
        mirrors_are_drawn_each_for_itself: lab_only,
        mirror_and_mirrors_both_copy: lab_only,
        a_split_route_is_copied_whole: lab_only,
        an_http_route_copies_inside_the_mesh: lab_only,
        a_copy_counts_at_the_workload_that_got_it: lab_only,
        a_canary_that_hangs_and_fails_is_not_noticed: lab_only,
        a_retry_is_not_copied_again: lab_only,
        a_delegate_copies_as_its_root_would: lab_only,
        an_older_virtual_service_of_another_namespace_wins: lab_only,
        a_virtual_service_that_is_exported_to_the_caller_wins: lab_only,
        an_older_http_route_on_the_service_wins: lab_only,
        a_client_may_use_a_shorter_name: lab_only,
        a_name_resolves_in_the_namespace_of_its_virtual_service: lab_only,
        a_gateway_copies_for_a_virtual_service: lab_only,
        a_gateway_of_ones_own_serves_its_hosts: lab_only,
        an_http_route_copies_at_the_gateway: lab_only,
        inside_a_mirror_without_a_port_goes_to_the_port_that_was_called: lab_only,
        at_a_gateway_a_mirror_needs_a_port_where_the_service_has_several: lab_only,
        only_ports_of_http_are_copied: lab_only,
        a_route_that_no_request_takes_is_not_copied: lab_only,
        a_delegate_that_gets_nothing_copies_nothing: lab_only,
        a_hidden_service_is_not_copied: lab_only,
        an_older_route_may_go_before_ours: lab_only,
        a_backend_that_does_not_resolve_stops_its_own_rule_only: lab_only,
        an_unnamed_port_leaves_the_port_to_all: lab_only,
    ];
    harness::main(Setup::bare().with_mesh(), cases)
}
