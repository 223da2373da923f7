//! What was meant by a name that is none.

/// The name that takes the fewest changes of a letter to reach, if that is few.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let far = |other: &str| strsim::levenshtein(&lower, &other.to_lowercase());
    let all = names.into_iter().map(|other| (far(other), other));
    let (distance, best) = all.min_by_key(|(distance, _)| *distance)?;
    (distance <= (name.chars().count() / 3).max(2)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_was_meant() {
        let of = |name| nearest(name, ["other", "submitVendor", "submit"]);
        assert_eq!(of("submitVendr"), Some("submitVendor"));
        assert_eq!(of("SUBMIT"), Some("submit"));
        assert_eq!(of("pay"), None);
        assert_eq!(nearest("pay", []), None);
    }
}
