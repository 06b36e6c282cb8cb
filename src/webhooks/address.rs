//! Which addresses deliveries may go to: one table of address blocks, one judgement over the address that is dialled.
//!
//! Refused unless known to be public: whatever the table does not name is refused in IPv6 and public in IPv4, whose
//! special blocks are all named (IANA's special-purpose registries). An IPv4 address inside an IPv6 one is checked too,
//! in every known wrapping. Tests: here, and over spellings and doors in `tests/it/address.rs`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Config;
use crate::domain::words::words;

words! {
    /// What a block of addresses is for; the word is for people.
    pub enum Class {
        /// Public.
        Public = "public",
        /// This machine.
        Loopback = "loopback",
        /// A private network: RFC 1918, RFC 4193.
        Private = "private",
        /// A provider's network behind its address translation: RFC 6598.
        Shared = "shared (carrier-grade NAT)",
        /// The link the machine is on, where metadata services live too.
        LinkLocal = "link-local",
        /// A cloud's metadata service or its host's endpoint, which hand out credentials.
        Metadata = "metadata",
        /// Many receivers at once.
        Multicast = "multicast",
        /// No address at all; connecting to it reaches this machine.
        Unspecified = "unspecified",
        /// Everybody on the link.
        Broadcast = "broadcast",
        /// Wraps an IPv4 address for a tunnel or a translator.
        Translated = "translated",
        /// For documentation, benchmarks, protocols, or nothing yet.
        Reserved = "reserved",
    }
}

impl Class {
    /// What opens an address of this kind, if anything does.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        if self.is_never_open() {
            "webhooks never reach it, whatever webhooks.allow_networks lists"
        } else {
            "webhooks may not reach it unless webhooks.allow_networks lists its network"
        }
    }

    /// What a sentence has before the class.
    #[must_use]
    pub const fn article(self) -> &'static str {
        match self {
            Self::Unspecified => "an",
            _ => "a",
        }
    }

    /// Whether no configuration opens it.
    #[must_use]
    pub const fn is_never_open(self) -> bool {
        match self {
            Self::LinkLocal | Self::Metadata | Self::Multicast | Self::Unspecified | Self::Broadcast => true,
            Self::Public
            | Self::Loopback
            | Self::Private
            | Self::Shared
            | Self::Translated
            | Self::Reserved => false,
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(network: u64, interface: u64, length: u8) -> Ipv6Net {
    let bits = ((network as u128) << 64) | interface as u128;
    Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), length)
}

/// Blocks of IPv4 that are not simply public; of several that hold an address the narrowest counts.
const V4: &[(Ipv4Net, Class)] = &[
    (v4(0, 0, 0, 0, 8), Class::Unspecified), // "this network", RFC 791
    (v4(10, 0, 0, 0, 8), Class::Private),    // RFC 1918
    (v4(100, 64, 0, 0, 10), Class::Shared),  // RFC 6598
    (v4(100, 100, 100, 200, 32), Class::Metadata), // Alibaba Cloud
    (v4(127, 0, 0, 0, 8), Class::Loopback),  // RFC 1122
    (v4(168, 63, 129, 16, 32), Class::Metadata), // Azure's host endpoint, in a public range
    (v4(169, 254, 0, 0, 16), Class::LinkLocal), // RFC 3927
    (v4(172, 16, 0, 0, 12), Class::Private), // RFC 1918
    (v4(192, 0, 0, 0, 24), Class::Reserved), // IETF protocols, RFC 6890
    (v4(192, 0, 0, 192, 32), Class::Metadata), // Oracle Cloud, older
    (v4(192, 0, 2, 0, 24), Class::Reserved), // documentation, RFC 5737
    (v4(192, 31, 196, 0, 24), Class::Reserved), // AS112, RFC 7535
    (v4(192, 52, 193, 0, 24), Class::Reserved), // AMT, RFC 7450
    (v4(192, 88, 99, 0, 24), Class::Reserved), // 6to4 relays, RFC 7526
    (v4(192, 168, 0, 0, 16), Class::Private), // RFC 1918
    (v4(192, 175, 48, 0, 24), Class::Reserved), // AS112, RFC 7534
    (v4(198, 18, 0, 0, 15), Class::Reserved), // benchmarks, RFC 2544
    (v4(198, 51, 100, 0, 24), Class::Reserved), // documentation, RFC 5737
    (v4(203, 0, 113, 0, 24), Class::Reserved), // documentation, RFC 5737
    (v4(224, 0, 0, 0, 4), Class::Multicast), // RFC 5771
    (v4(240, 0, 0, 0, 4), Class::Reserved),  // RFC 1112
    (v4(255, 255, 255, 255, 32), Class::Broadcast), // RFC 919
];

/// Blocks of IPv6; what none of them holds is reserved.
const V6: &[(Ipv6Net, Class)] = &[
    (v6(0, 0, 128), Class::Unspecified),
    (v6(0, 0x1, 128), Class::Loopback),
    (v6(0, 0, 96), Class::Translated), // IPv4-compatible, RFC 4291
    (v6(0, 0xffff_0000_0000_0000, 96), Class::Translated), // SIIT, RFC 2765
    (v6(0x0064_ff9b_0001_0000, 0, 48), Class::Translated), // local NAT64, RFC 8215
    (v6(0x2000_0000_0000_0000, 0, 3), Class::Public), // RFC 4291
    (v6(0x2001_0000_0000_0000, 0, 23), Class::Reserved), // IETF protocols, RFC 2928
    (v6(0x2001_0000_0000_0000, 0, 32), Class::Translated), // Teredo, RFC 4380
    (v6(0x2001_0db8_0000_0000, 0, 32), Class::Reserved), // documentation, RFC 3849
    (v6(0x2002_0000_0000_0000, 0, 16), Class::Translated), // 6to4, RFC 3056
    (v6(0x3fff_0000_0000_0000, 0, 20), Class::Reserved), // documentation, RFC 9637
    (v6(0xfc00_0000_0000_0000, 0, 7), Class::Private), // RFC 4193
    (
        v6(0xfd00_00c1_0000_0000, 0x0000_0000_a9fe_a9fe, 128),
        Class::Metadata,
    ), // Oracle Cloud
    (v6(0xfd00_0ec2_0000_0000, 0x254, 128), Class::Metadata), // AWS
    (v6(0xfd20_00ce_0000_0000, 0x254, 128), Class::Metadata), // Google Cloud
    (v6(0xfe80_0000_0000_0000, 0, 10), Class::LinkLocal), // RFC 4291
    (v6(0xff00_0000_0000_0000, 0, 8), Class::Multicast), // RFC 4291
];

/// Where an IPv6 block wraps an IPv4 address: by how many bits it is shifted from the right, and whether its bits are
/// inverted.
const WRAPPED: &[(Ipv6Net, u32, bool)] = &[
    (v6(0, 0, 96), 0, false),
    (v6(0, 0x0000_ffff_0000_0000, 96), 0, false),
    (v6(0, 0xffff_0000_0000_0000, 96), 0, false),
    (v6(0x0064_ff9b_0000_0000, 0, 96), 0, false),
    (v6(0x0064_ff9b_0001_0000, 0, 48), 0, false),
    (v6(0x2002_0000_0000_0000, 0, 16), 80, false),
    (v6(0x2001_0000_0000_0000, 0, 32), 64, false), // Teredo's server
    (v6(0x2001_0000_0000_0000, 0, 32), 0, true),   // Teredo's client
];

/// Blocks that are nothing but another spelling of the IPv4 address they wrap: mapped, which the system dials as IPv4,
/// and the well-known prefix by which an IPv6-only network reaches IPv4 (RFC 6052).
const TRANSPARENT: &[Ipv6Net] = &[v6(0, 0x0000_ffff_0000_0000, 96), v6(0x0064_ff9b_0000_0000, 0, 96)];

/// The IPv4 address in the interface part of ISATAP (RFC 5214), which any prefix can carry.
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., mark, id, _, _] = address.segments();
    (mark & !0x0300 == 0 && id == 0x5efe).then(|| low_v4(u128::from(address)))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower 32 bits are what is asked for"
)]
fn low_v4(bits: u128) -> Ipv4Addr {
    Ipv4Addr::from(bits as u32)
}

/// Every IPv4 address that an IPv6 address may carry.
fn wrapped(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let bits = u128::from(address);
    let tabled = WRAPPED
        .iter()
        .filter(move |(block, _, _)| block.contains(&address))
        .map(move |(_, shift, inverted)| low_v4((if *inverted { !bits } else { bits }) >> shift));
    tabled.chain(isatap(address))
}

/// What an address is, an IPv4 address in disguise as what it is.
#[must_use]
pub fn class(address: IpAddr) -> Class {
    match canonical(address) {
        IpAddr::V4(address) => V4
            .iter()
            .filter(|(block, _)| block.contains(&address))
            .max_by_key(|(block, _)| block.prefix_len())
            .map_or(Class::Public, |(_, class)| *class),
        IpAddr::V6(address) => V6
            .iter()
            .filter(|(block, _)| block.contains(&address))
            .max_by_key(|(block, _)| block.prefix_len())
            .map_or(Class::Reserved, |(_, class)| *class),
    }
}

/// The IPv4 address behind a transparent spelling, else the address itself.
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if TRANSPARENT.iter().any(|block| block.contains(&v6)) => {
            IpAddr::V4(low_v4(u128::from(v6)))
        }
        other => other,
    }
}

/// What the configuration opens.
#[derive(Debug, Clone)]
pub struct Policy {
    networks: Vec<IpNet>,
    private: bool,
}

impl Policy {
    /// The policy of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            networks: config.allow_networks.clone(),
            private: config.allow_private_networks,
        }
    }

    /// Whether deliveries may go to an address.
    ///
    /// # Errors
    /// What the address is, when they may not.
    pub fn judge(&self, address: IpAddr) -> Result<(), Class> {
        let canonical = canonical(address);
        let class = class(canonical);
        if class.is_never_open() {
            return Err(class);
        }
        if let IpAddr::V6(v6) = canonical
            && let Some(inner) = wrapped(v6)
                .map(|inner| self::class(IpAddr::V4(inner)))
                .find(|inner| inner.is_never_open())
            && class != Class::Loopback
        {
            return Err(inner);
        }
        let listed = self
            .networks
            .iter()
            .any(|network| network.contains(&canonical) || network.contains(&address));
        let lab = self.private && matches!(class, Class::Loopback | Class::Private);
        if listed || lab || class == Class::Public {
            Ok(())
        } else {
            Err(class)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strict() -> Policy {
        Policy {
            networks: Vec::new(),
            private: false,
        }
    }

    fn lab() -> Policy {
        Policy {
            networks: Vec::new(),
            private: true,
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn each_block_is_what_its_registry_says() {
        for (text, expected) in [
            ("93.184.216.34", Class::Public),
            ("0.0.0.0", Class::Unspecified),
            ("0.1.2.3", Class::Unspecified),
            ("10.255.0.1", Class::Private),
            ("100.63.255.255", Class::Public),
            ("100.64.0.1", Class::Shared),
            ("100.100.100.200", Class::Metadata),
            ("127.255.255.254", Class::Loopback),
            ("168.63.129.16", Class::Metadata),
            ("168.63.129.17", Class::Public),
            ("169.254.169.254", Class::LinkLocal),
            ("172.15.255.255", Class::Public),
            ("172.31.255.255", Class::Private),
            ("172.32.0.0", Class::Public),
            ("192.0.0.192", Class::Metadata),
            ("198.19.255.255", Class::Reserved),
            ("223.255.255.255", Class::Public),
            ("224.0.0.1", Class::Multicast),
            ("250.0.0.1", Class::Reserved),
            ("255.255.255.255", Class::Broadcast),
            ("2606:2800:220:1::1", Class::Public),
            ("::", Class::Unspecified),
            ("::1", Class::Loopback),
            ("::7f00:1", Class::Translated),
            ("::ffff:10.0.0.1", Class::Private),
            ("64:ff9b::7f00:1", Class::Loopback),
            ("64:ff9b::5db8:d822", Class::Public),
            ("64:ff9b:1::1", Class::Translated),
            ("2001::1", Class::Translated),
            ("2001:1::1", Class::Reserved),
            ("2001:db8::1", Class::Reserved),
            ("2001:200::1", Class::Public),
            ("2002:7f00:1::", Class::Translated),
            ("3fff::1", Class::Reserved),
            ("4000::1", Class::Reserved),
            ("100::1", Class::Reserved),
            ("5f00::1", Class::Reserved),
            ("fd00::1", Class::Private),
            ("fd00:ec2::254", Class::Metadata),
            ("fd20:ce::254", Class::Metadata),
            ("fe80::1", Class::LinkLocal),
            ("fec0::1", Class::Reserved),
            ("ff02::1", Class::Multicast),
        ] {
            assert_eq!(class(ip(text)), expected, "{text}");
        }
    }

    #[test]
    fn the_lab_switch_opens_loopback_and_private_addresses_only() {
        for open in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "::1",
            "fd00::1",
            "::ffff:127.0.0.1",
        ] {
            assert_eq!(lab().judge(ip(open)), Ok(()), "{open}");
            assert!(strict().judge(ip(open)).is_err(), "{open}");
        }
        for shut in [
            "0.0.0.0",
            "::",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd20:ce::254",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "100.64.0.1",
            "fe80::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "198.18.0.1",
            "2001:db8::1",
        ] {
            assert!(lab().judge(ip(shut)).is_err(), "{shut}");
        }
    }

    #[test]
    fn a_listed_network_never_opens_link_local_or_metadata_addresses() {
        let networks = [
            "10.20.0.0/16",
            "127.0.0.0/8",
            "100.0.0.0/8",
            "169.254.0.0/16",
            "168.0.0.0/8",
            "fd00::/32",
            "fd00:ec2::/32",
            "fe80::/32",
            "2002:a9fe::/32",
            "2002:a14::/32",
            "224.0.0.0/8",
            "0.0.0.0/8",
        ];
        let policy = Policy {
            networks: networks
                .iter()
                .map(|text| text.parse().expect("a network"))
                .collect(),
            private: false,
        };
        for open in [
            "10.20.3.4",
            "::ffff:10.20.3.4",
            "64:ff9b::a14:304",
            "127.0.0.1",
            "fd00::5",
            "100.64.1.1",
            "2002:a14:1::1",
        ] {
            assert_eq!(policy.judge(ip(open)), Ok(()), "{open}");
        }
        for shut in [
            "10.21.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fe80::1",
            "2002:a9fe:a9fe::1",
            "224.0.0.1",
            "0.0.0.0",
            "0.0.0.1",
            "192.168.0.1",
        ] {
            assert!(policy.judge(ip(shut)).is_err(), "{shut}");
        }
    }

    #[test]
    fn no_wrapping_hides_a_metadata_address_in_a_listed_network() {
        let all = Policy {
            networks: vec!["::/0".parse().expect("a network")],
            private: true,
        };
        for shut in [
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001:0:a9fe:a9fe::1",
            "2001::5601:5601",
            "2600::5efe:a9fe:a9fe",
            "2600::200:5efe:a9fe:a9fe",
        ] {
            assert!(all.judge(ip(shut)).is_err(), "{shut}");
        }
    }

    proptest! {
        /// The special blocks as IANA lists them, written a second time and in another way than the table.
        #[test]
        fn ipv4_that_is_open_is_outside_every_special_block(bits: u32, special in 0usize..16, tail: u32) {
            const SPECIAL: [(u32, u32); 16] = [
                (0, 8), (0x0a00_0000, 8), (0x6440_0000, 10), (0x7f00_0000, 8), (0xa9fe_0000, 16), (0xac10_0000, 12),
                (0xc000_0000, 24), (0xc000_0200, 24), (0xc058_6300, 24), (0xc0a8_0000, 16), (0xc612_0000, 15),
                (0xc633_6400, 24), (0xcb00_7100, 24), (0xe000_0000, 4), (0xf000_0000, 4), (0xa83f_8110, 32),
            ];
            let (base, length) = SPECIAL[special];
            let mask = u32::MAX.checked_shr(length).unwrap_or(0);
            let inside = Ipv4Addr::from(base | (tail & mask));
            prop_assert!(strict().judge(IpAddr::V4(inside)).is_err(), "{inside}");
            prop_assert!(strict().judge(IpAddr::V6(inside.to_ipv6_mapped())).is_err(), "{inside}");
            let any = Ipv4Addr::from(bits);
            let is_special = SPECIAL.iter().any(|(base, length)| {
                let mask = u32::MAX.checked_shr(*length).unwrap_or(0);
                bits & !mask == *base
            });
            if !is_special && strict().judge(IpAddr::V4(any)).is_err() {
                let [a, b, c, _] = any.octets();
                prop_assert!([(192, 31, 196), (192, 52, 193), (192, 175, 48), (100, 100, 100)].contains(&(a, b, c)), "{any}");
            }
        }

        #[test]
        fn only_global_unicast_ipv6_that_wraps_no_closed_address_is_open(bits: u128) {
            let address = Ipv6Addr::from(bits);
            if strict().judge(IpAddr::V6(address)).is_ok() && address.to_ipv4_mapped().is_none() {
                let first = address.segments()[0];
                prop_assert!((first & 0xe000 == 0x2000 && first != 0x2002) || first == 0x64, "{address}");
            }
        }
    }
}
