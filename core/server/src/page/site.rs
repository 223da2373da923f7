//! The web interface of one release.

use super::{file::File, lasting::Lasting};
use crate::answer::Refusal;
use remy_db_app::files;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Weak},
    thread,
};

/// What is served for a path that is none of a file.
const PAGE: &str = "index.html";

/// The most of one file that is kept in memory, and the most of all.
const FILE: u64 = 1 << 20;
const ALL: u64 = 8 << 20;

/// What a release says of it.
const CONFIG: &str = "interfaces/web.json";

/// Where a release has its web interface.
pub(super) const FOLDER: &str = "interfaces/web";

/// The web interface of one release.
#[derive(Debug)]
pub(crate) struct Site {
    /// What its pages are below, without a slash at its end: `/shop`, or nothing.
    base: String,
    /// The paths of `prerender`: `/u/*` is all below `/u/`. They are pages, whoever asks.
    pages: Vec<String>,
    files: BTreeMap<String, File>,
}

impl Site {
    /// Reads the files of the release that is kept in a folder; one without a web interface has none.
    pub fn read(kept: &Path) -> Result<Arc<Self>, Refusal> {
        let folder = kept.join(FOLDER);
        let listed = match folder.is_dir() {
            true => files::list(&folder, None).map_err(|e| Refusal::internal(e.to_string()))?,
            false => Vec::new(),
        };
        let lasting = Lasting::of(kept);
        let mut room = ALL;
        let mut all = BTreeMap::new();
        for listed in listed {
            let at = folder.join(&listed.path);
            // Links are no part of it: they may lead anywhere.
            let Ok(file) = File::read(&at, lasting.has(&listed.path), room.min(FILE)) else {
                continue;
            };
            room -= file.room().min(room);
            all.insert(listed.path, file);
        }
        let config = std::fs::read(kept.join(CONFIG)).unwrap_or_default();
        let config: Value = serde_json::from_slice(&config).unwrap_or_default();
        let site = Arc::new(Self {
            base: base(&config),
            pages: pages(&config),
            files: all,
        });
        pack(&site);
        Ok(site)
    }

    /// What its pages are below, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// A path below what the pages are below, as that of a file. None, where it is elsewhere.
    pub(super) fn within<'a>(&self, path: &'a str) -> Option<&'a str> {
        let base = self.base.trim_start_matches('/');
        let rest = path.strip_prefix(base)?;
        match rest.strip_prefix('/') {
            Some(rest) if !base.is_empty() => Some(rest),
            _ if base.is_empty() || rest.is_empty() => Some(rest),
            _ => None,
        }
    }

    /// The file of a path, or the page that is shown there. A page is shown for a path of the page's
    /// own, which no file has, where `for_people`.
    pub(super) fn find(&self, path: &str, for_people: bool) -> Option<&File> {
        let file = |path: &str| self.files.get(path);
        let page = |path: &str| file(path).filter(|file| file.page().is_some());
        match path {
            "" => file(PAGE),
            _ => file(path)
                .or_else(|| page(&format!("{path}/{PAGE}")))
                .or_else(|| page(&format!("{path}.html")))
                .or_else(|| file(PAGE).filter(|_| for_people || self.is_page(path))),
        }
    }

    fn is_page(&self, path: &str) -> bool {
        self.pages.iter().any(|page| match page.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == page,
        })
    }
}

/// What the release says that its pages are below. It was checked as the release was made, and is
/// data all the same: what is no path is none.
fn base(config: &Value) -> String {
    let base = config["basePath"].as_str().unwrap_or_default();
    match base.strip_prefix('/') {
        Some(rest) if !rest.is_empty() && !rest.ends_with('/') => base.to_owned(),
        _ => String::new(),
    }
}

/// The paths that the release says are pages, without the slash that they begin with.
fn pages(config: &Value) -> Vec<String> {
    let paths = config["prerender"]["paths"]
        .as_array()
        .into_iter()
        .flatten();
    let paths = paths.filter_map(|path| path.as_str()?.strip_prefix('/'));
    paths
        .map(|path| path.trim_end_matches('/').to_owned())
        .collect()
}

/// Packs all files, one after the other, as long as they are served.
fn pack(site: &Arc<Site>) {
    let names: Vec<String> = site.files.keys().cloned().collect();
    let site: Weak<Site> = Arc::downgrade(site);
    let work = move || {
        for name in names {
            let Some(site) = site.upgrade() else { return };
            if let Some(file) = site.files.get(&name) {
                file.pack();
            }
        }
    };
    // Without a thread for it files are sent as they are.
    let _ = thread::Builder::new()
        .name("remy-pack".to_owned())
        .spawn(work);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn site(config: &str) -> Arc<Site> {
        let kept = tempfile::tempdir().unwrap();
        let web = kept.path().join(FOLDER);
        fs::create_dir_all(web.join("assets")).unwrap();
        fs::write(kept.path().join(CONFIG), config).unwrap();
        for file in ["index.html", "assets/a.js", "about.html"] {
            fs::write(web.join(file), file).unwrap();
        }
        Site::read(kept.path()).unwrap()
    }

    #[test]
    fn pages_are_below_what_the_app_says() {
        let shop = site(r#"{ "basePath": "/my/shop" }"#);
        assert_eq!(shop.base(), "/my/shop");
        assert_eq!(shop.within("my/shop"), Some(""));
        assert_eq!(shop.within("my/shop/assets/a.js"), Some("assets/a.js"));
        for other in ["", "my", "my/shopping", "assets/a.js"] {
            assert_eq!(shop.within(other), None, "{other}");
        }
        for none in [
            "{}",
            r#"{ "basePath": "/" }"#,
            r#"{ "basePath": "shop" }"#,
            r#"{ "basePath": 7 }"#,
            "no JSON",
        ] {
            let plain = site(none);
            assert_eq!(
                (plain.base(), plain.within("a/b"), plain.within("")),
                ("", Some("a/b"), Some("")),
                "{none}"
            );
        }
    }

    #[test]
    fn paths_of_prerender_are_pages_whoever_asks() {
        let site = site(r#"{ "prerender": { "paths": ["/u/*", "/feed.html", 7] } }"#);
        for page in ["u/john.doe", "u/a/b", "feed.html", "about"] {
            assert!(
                site.find(page, false)
                    .is_some_and(|file| file.page().is_some()),
                "{page}"
            );
        }
        for none in ["users/x", "feed.html/x", "x.js"] {
            assert!(site.find(none, false).is_none(), "{none}");
        }
    }

    #[test]
    fn a_link_is_no_file_of_it() {
        let kept = tempfile::tempdir().unwrap();
        let web = kept.path().join(FOLDER);
        fs::create_dir_all(&web).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", web.join("passwd")).unwrap();
        std::os::unix::fs::symlink("/etc", web.join("etc")).unwrap();
        let site = Site::read(kept.path()).unwrap();
        assert!(site.find("passwd", false).is_none() && site.find("etc/passwd", false).is_none());
    }
}
