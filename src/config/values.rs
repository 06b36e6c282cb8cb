//! The texts of the configuration that are more than a word: durations, sizes, networks, URLs, pins.
//!
//! Pure functions from text to value. A refusal says what would have been right, and quotes the text only
//! where it cannot be a credential.

use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use url::Url;

/// `"1h30m"`, `"250ms"`, `"0s"`; units `ms s m h d w y`, a year being 365 days.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let refused = || {
        format!(
            "`{text}` is not a duration; write a number with a unit, such as \"500ms\", \"30s\", \"5m\", \"2h\", \"30d\", \"1y\""
        )
    };
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(refused());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return Err(refused()),
        };
        let number: u64 = number.parse().map_err(|_| refused())?;
        total = number
            .checked_mul(unit)
            .and_then(|ms| total.checked_add(ms))
            .ok_or_else(refused)?;
        rest = tail.trim_start();
    }
    Ok(Duration::from_millis(total))
}

/// `"64MiB"`, `"512KiB"`, `"1000"`; units `B KB MB GB KiB MiB GiB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let refused =
        || format!("`{text}` is not a size; write bytes with a unit, such as \"512KiB\" or \"64MiB\"");
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(refused()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(unit))
        .ok_or_else(refused)
}

/// A network in CIDR form, or one address; wider than /8 (IPv4) or /32 (IPv6) is refused as a mistake.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let net = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is not a network; write it like \"10.20.0.0/16\""))?;
    // An IPv4-mapped IPv6 network is treated as the IPv4 network that it is, as addresses are.
    let net = match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => Ipv4Net::new(v4, v6.prefix_len() - 96).map_or(net, IpNet::V4),
            None => net,
        },
        IpNet::V4(_) | IpNet::V6(_) => net,
    };
    let least = match net {
        IpNet::V4(_) => 8,
        IpNet::V6(_) => 32,
    };
    if net.prefix_len() < least {
        return Err(format!(
            "`{text}` is too wide: nothing wider than /{least} is accepted"
        ));
    }
    Ok(net.trunc())
}

/// An http or https URL without credentials, query and fragment, whose path ends with `/`.
pub(super) fn base_url(text: &str) -> Result<Url, String> {
    // The text itself is not repeated: people paste URLs with passwords in them.
    let mut url = Url::parse(text.trim()).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "must begin with http:// or https://".to_owned(),
        error => format!("is not a URL: {error}"),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry credentials".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end with its path: no ? and no #".to_owned());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// EM's root: a [`base_url`] without its trailing `/api`.
pub(super) fn em_url(text: &str) -> Result<Url, String> {
    let mut url = base_url(text)?;
    if let Some((root, "api")) = url
        .path()
        .to_ascii_lowercase()
        .trim_end_matches('/')
        .rsplit_once('/')
    {
        let root = url.path().get(..=root.len()).unwrap_or("/").to_owned();
        url.set_path(&root);
    }
    Ok(url)
}

/// An origin for CORS, `https://host[:port]` and nothing more; `*` is not one.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let refused =
        || "must be an origin such as \"https://portal.example\", not a pattern or a path".to_owned();
    let url = base_url(text).map_err(|_| refused())?;
    if url.path() == "/" && !text.contains('*') {
        Ok(url.origin().ascii_serialization())
    } else {
        Err(refused())
    }
}

/// A SHA-256 in hexadecimal, colons allowed between bytes.
pub(super) fn sha256(text: &str) -> Result<[u8; 32], String> {
    let refused = || "must be a SHA-256: 64 hexadecimal digits, colons allowed".to_owned();
    let digits: Vec<u32> = text
        .trim()
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()
        .ok_or_else(refused)?;
    let mut sum = [0_u8; 32];
    if digits.len() != 64 {
        return Err(refused());
    }
    for (byte, pair) in sum.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair
            .iter()
            .fold(0, |value, digit| value << 4 | u8::try_from(*digit).unwrap_or(0));
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        assert_eq!(duration("1h30m").unwrap(), Duration::from_mins(90));
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(duration("1y").unwrap(), Duration::from_hours(365 * 24));
        assert_eq!(duration("0s").unwrap(), Duration::ZERO);
        for wrong in [
            "",
            "5",
            "s",
            "5 parsecs",
            "-5s",
            "1.5s",
            "99999999999999999999y",
            "5sé",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_bytes_with_units() {
        assert_eq!(bytes("64MiB").unwrap(), 64 << 20);
        assert_eq!(bytes("1 KB").unwrap(), 1000);
        assert_eq!(bytes("17").unwrap(), 17);
        for wrong in ["", "MiB", "1TiB", "-1", "99999999999999GiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_wider_than_a_class_a_are_refused() {
        assert_eq!(network("10.20.1.1/16").unwrap().to_string(), "10.20.0.0/16");
        assert_eq!(network("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert_eq!(
            network("::ffff:10.20.1.1/112").unwrap().to_string(),
            "10.20.0.0/16"
        );
        assert_eq!(network("::ffff:10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert!(network("::ffff:0.0.0.0/96").is_err());
        assert!(network("10.0.0.0/8").is_ok() && network("fd00::/32").is_ok());
        for wrong in [
            "0.0.0.0/0",
            "10.0.0.0/7",
            "fc00::/7",
            "::/0",
            "ten",
            "10.0.0.0/33",
        ] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_address_of_em_loses_its_api() {
        for text in [
            "https://em.example:9398",
            "https://em.example:9398/",
            "https://em.example:9398/api",
            "https://em.example:9398/api/",
        ] {
            assert_eq!(em_url(text).unwrap().as_str(), "https://em.example:9398/");
        }
        assert_eq!(
            em_url("http://proxy.example/em/API").unwrap().as_str(),
            "http://proxy.example/em/"
        );
        assert_eq!(
            em_url("http://proxy.example/myapi").unwrap().as_str(),
            "http://proxy.example/myapi/"
        );
        for wrong in [
            "em.example",
            "ftp://em.example",
            "https://u:p@em.example",
            "https://em.example/?v=1",
        ] {
            let text = em_url(wrong).unwrap_err();
            assert!(!text.contains("u:p"), "{text}");
        }
    }

    #[test]
    fn a_pin_is_64_digits_with_or_without_colons() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(sha256(&plain).unwrap(), [0xab; 32]);
        assert_eq!(sha256(&colons).unwrap(), [0xab; 32]);
        assert!(sha256(&plain[2..]).is_err() && sha256(&"zz".repeat(32)).is_err());
    }

    #[test]
    fn only_whole_origins_are_origins() {
        assert_eq!(
            origin("https://portal.example/").unwrap(),
            "https://portal.example"
        );
        for wrong in ["*", "https://*.example", "https://portal.example/app", "null", ""] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
