//! Files that are sent compressed: each is compressed once, before it is asked for.

use axum::{
    body::Bytes,
    http::{HeaderMap, header},
};
use flate2::{Compression, write::GzEncoder};
use std::io::Write as _;

/// The least that is worth it, of what is compressed.
const LEAST: usize = 1 << 10;

/// The most that is: the result stays in memory.
const MOST: u64 = 16 << 20;

/// How much smaller what is compressed has to be: by a tenth.
const WORTH: (usize, usize) = (9, 10);

/// How hard brotli tries, of 11. The last two steps take ten times as long for a hundredth.
const QUALITY: u32 = 9;

/// How something is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Brotli,
    Gzip,
}

impl Packing {
    /// As HTTP has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// What a file is when it is packed, where that is worth it.
#[derive(Debug, Default)]
pub(super) struct Packed {
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
}

impl Packed {
    /// Packs. It takes its time.
    pub fn of(content: &[u8]) -> Self {
        if content.len() < LEAST {
            return Self::default();
        }
        let worth = |packed: Option<Vec<u8>>| {
            let packed = packed?;
            let is_worth = packed.len() * WORTH.1 < content.len() * WORTH.0;
            is_worth.then(|| packed.into())
        };
        Self {
            brotli: worth(brotli(content)),
            gzip: worth(gzip(content)),
        }
    }

    /// The best that is taken by who asks.
    pub fn best(&self, headers: &HeaderMap) -> Option<(Packing, Bytes)> {
        let of = |packing, packed: &Option<Bytes>| {
            let packed = packed.as_ref().filter(|_| takes(headers, packing))?;
            Some((packing, packed.clone()))
        };
        of(Packing::Brotli, &self.brotli).or_else(|| of(Packing::Gzip, &self.gzip))
    }
}

/// Whether a file is worth being packed: texts are, and what is compressed already is not.
pub(super) fn is_packable(kind: &str, bytes: u64) -> bool {
    const KINDS: [&str; 9] = [
        "text/",
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/wasm",
        "application/xml",
        "image/svg+xml",
        "font/ttf",
        "font/otf",
    ];
    bytes <= MOST && KINDS.iter().any(|known| kind.starts_with(known))
}

fn brotli(content: &[u8]) -> Option<Vec<u8>> {
    let mut writer = brotli::CompressorWriter::new(Vec::new(), 64 << 10, QUALITY, 22);
    writer.write_all(content).ok()?;
    Some(writer.into_inner())
}

fn gzip(content: &[u8]) -> Option<Vec<u8>> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::best());
    writer.write_all(content).ok()?;
    writer.finish().ok()
}

/// Whether who asks takes it: it is named, and not with a quality of 0.
fn takes(headers: &HeaderMap, packing: Packing) -> bool {
    let all = headers.get_all(header::ACCEPT_ENCODING).iter();
    all.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| {
            let (name, quality) = one.split_once(';').unwrap_or((one, ""));
            let quality = quality.trim().strip_prefix("q=").unwrap_or("1");
            name.trim().eq_ignore_ascii_case(packing.name())
                && quality
                    .trim()
                    .parse::<f32>()
                    .is_ok_and(|quality| quality > 0.0)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn asks(encodings: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, encodings.parse().unwrap());
        headers
    }

    #[test]
    fn what_is_packed_is_what_was() {
        let text = "let a = 1;\n".repeat(1000);
        let packed = Packed::of(text.as_bytes());
        let mut back = String::new();
        let best = |encodings: &str| packed.best(&asks(encodings));
        let (packing, bytes) = best("gzip, deflate, br").unwrap();
        assert_eq!(packing, Packing::Brotli);
        brotli::Decompressor::new(&*bytes, 4096)
            .read_to_string(&mut back)
            .unwrap();
        assert_eq!(back, text);
        let (packing, bytes) = best("br;q=0, GZIP;q=0.5").unwrap();
        assert_eq!(packing, Packing::Gzip);
        back.clear();
        flate2::read::GzDecoder::new(&*bytes)
            .read_to_string(&mut back)
            .unwrap();
        assert_eq!(back, text);
        for other in ["", "identity", "deflate", "br;q=0", "br;q=x"] {
            assert!(best(other).is_none(), "{other}");
        }
    }

    #[test]
    fn what_is_not_worth_it_stays_as_it_is() {
        assert!(Packed::of(b"short").best(&asks("br, gzip")).is_none());
        let mut noise = vec![0; 4096];
        getrandom::fill(&mut noise).unwrap();
        assert!(Packed::of(&noise).best(&asks("br, gzip")).is_none());
        assert!(is_packable("text/css; charset=utf-8", 5) && !is_packable("image/png", 5));
        assert!(!is_packable("text/css", MOST + 1));
    }
}
