//! Where packets to an address can end: many ways to write an IPv6 address contain one of IPv4, and what translates or
//! unwraps it on the way is not known.
//!
//! Not here: a network's own prefix of a translator (RFC 6052), which nobody can know from the address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address, and those of IPv4 within it.
pub fn reached(ip: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = ip else { return vec![ip] };
    // As it stands, `::ffff:0.0.0.0` is nowhere.
    let itself = if v6.to_ipv4_mapped().is_some() { None } else { Some(ip) };
    let within = within(v6).into_iter().map(IpAddr::from);
    itself.into_iter().chain(within).collect()
}

fn within(v6: Ipv6Addr) -> Vec<Ipv4Addr> {
    let o = v6.octets();
    let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| o[place]));
    let last = at([12, 13, 14, 15]);
    match v6.segments() {
        // Loopback and no address, which are written in the same way as the compatible ones.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        // Compatible; mapped; translated (RFC 2765); NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            vec![last]
        }
        // NAT64 of a network's own (RFC 8215), whose prefix may have 48, 56, 64 or 96 bits. What is 0 is not filled in.
        [0x64, 0xff9b, 1, ..] => {
            let places = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]];
            let filled = places.into_iter().map(at).filter(|v4| v4.octets()[0] != 0);
            filled.collect()
        }
        // 6to4.
        [0x2002, ..] => vec![at([2, 3, 4, 5])],
        // Teredo: the server, and the client, whose bits are turned around.
        [0x2001, 0, ..] => vec![at([4, 5, 6, 7]), Ipv4Addr::from_bits(!last.to_bits())],
        // ISATAP, below any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => vec![last],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_address_within_another_is_known() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ways = [
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::127.0.0.1",
            "64:ff9b:1:7f00:0:100::",
            "64:ff9b:1:7f:0:1::",
            "64:ff9b:1:0:7f:0:100:0",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
            "2001:0:c000:201::80ff:fffe",
            "fe80::5efe:127.0.0.1",
            "2001:db8::200:5efe:127.0.0.1",
        ];
        for way in ways {
            assert!(reached(way.parse().expect(way)).contains(&loopback), "{way}");
        }
        for plain in ["::1", "::", "fd00::7f00:1", "2001:db8::1", "127.0.0.1"] {
            let ip: IpAddr = plain.parse().expect(plain);
            assert_eq!(reached(ip), [ip]);
        }
    }
}
