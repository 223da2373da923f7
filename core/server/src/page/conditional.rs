//! What of a file is asked for: all, a part, or whether it is another than before.

use axum::http::{HeaderMap, header};

/// Which bytes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    Whole,
    /// From the first to the last, both of them included.
    Part(u64, u64),
    /// None of those are there.
    Outside,
}

/// Whether who asks has what has this tag.
pub(crate) fn has(headers: &HeaderMap, tag: &str) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter();
    tags.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// The bytes of a file of this size and tag that are asked for. Of several ranges all is sent: that
/// is allowed, and what asks for many small ones is no use.
pub(crate) fn range(headers: &HeaderMap, size: u64, tag: &str) -> Range {
    let asked = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    let same = headers
        .get(header::IF_RANGE)
        .is_none_or(|value| value == tag);
    let spec = asked
        .filter(|_| same)
        .and_then(|asked| asked.strip_prefix("bytes="));
    let ends = spec.and_then(|spec| spec.trim().split_once('-'));
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // Larger than any file: as far as there is.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = match ends {
        None => return Range::Whole,
        Some(("", length)) => match number(length) {
            None => return Range::Whole,
            Some(0) => return Range::Outside,
            Some(length) => (size.saturating_sub(length), size.saturating_sub(1)),
        },
        Some((first, "")) => match number(first) {
            Some(first) => (first, size.saturating_sub(1)),
            None => return Range::Whole,
        },
        Some((first, last)) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last.min(size.saturating_sub(1))),
            _ => return Range::Whole,
        },
    };
    match first < size {
        true => Range::Part(first, last),
        false => Range::Outside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn who_has_it_is_not_sent_it_again() {
        let has = |value: &str| has(&headers(&[("if-none-match", value)]), "\"a\"");
        assert!(has("\"a\"") && has("\"b\", \"a\"") && has("W/\"a\"") && has("*"));
        assert!(!has("\"b\"") && !has("a") && !has("\"a-br\""));
    }

    #[test]
    fn a_range_is_what_there_is_of_it() {
        let of = |spec: &str| range(&headers(&[("range", spec)]), 10, "\"a\"");
        for (spec, found) in [
            ("bytes=0-3", Range::Part(0, 3)),
            ("bytes=8-", Range::Part(8, 9)),
            ("bytes=-4", Range::Part(6, 9)),
            ("bytes=-40", Range::Part(0, 9)),
            ("bytes=5-99999999999999999999999", Range::Part(5, 9)),
            ("bytes=10-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=99999999999999999999999-", Range::Outside),
            ("bytes=3-2", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("items=0-1", Range::Whole),
        ] {
            assert_eq!(of(spec), found, "{spec}");
        }
        let if_range = |tag| {
            range(
                &headers(&[("range", "bytes=0-1"), ("if-range", tag)]),
                10,
                "\"a\"",
            )
        };
        assert_eq!(
            (if_range("\"a\""), if_range("\"b\"")),
            (Range::Part(0, 1), Range::Whole)
        );
        assert_eq!(
            range(&headers(&[("range", "bytes=0-")]), 0, ""),
            Range::Outside
        );
    }
}
