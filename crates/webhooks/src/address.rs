//! Which addresses may be called: public ones, and nothing that leads inwards under any of its names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not called; `None` where it is a public one.
pub fn inward(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => inward_v4(address),
        IpAddr::V6(address) => inward_v6(address),
    }
}

fn inward_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (0, ..) => "this host",
        (127, ..) => "loopback",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "private",
        (169, 254, _) => "link-local, where clouds keep their metadata",
        (100, 64..=127, _) => "shared by carriers",
        (192, 0, 0) | (192, 88, 99) => "for protocols",
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "for documentation",
        (198, 18..=19, _) => "for benchmarks",
        (224..=239, ..) => "multicast",
        (240..=255, ..) => "reserved",
        _ => return None,
    })
}

fn inward_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => return Some("this host"),
        [0, 0, 0, 0, 0, 0, 0, 1] => return Some("loopback"),
        // An IPv4 address within: mapped, compatible, translated, 6to4.
        [0, 0, 0, 0, 0, 0xFFFF, high, low]
        | [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0xFFFF, 0, high, low]
        | [0x64, 0xFF9B, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => return inward_v4(within(high, low)),
        _ => {}
    }
    Some(match segments[0] {
        0xFC00..=0xFDFF => "private",
        0xFE80..=0xFEBF => "link-local",
        0xFF00..=0xFFFF => "multicast",
        // Of what follows only this much is given out to the public.
        0x2000..=0x3FFF => match segments {
            [0x2001, 0x0DB8, ..] | [0x3FFF, 0..=0x0FFF, ..] => "for documentation",
            [0x2001, 0..=0x01FF, ..] => "for protocols",
            _ => return None,
        },
        _ => "reserved",
    })
}

fn within(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_called() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.1.1",
            "2606:4700::1111",
            "2a00:1450:4001:81b::200e",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert_eq!(inward(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn nothing_that_leads_inwards_is_called_under_any_of_its_names() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "4000::1",
        ] {
            assert!(inward(address.parse().unwrap()).is_some(), "{address}");
        }
    }
}
