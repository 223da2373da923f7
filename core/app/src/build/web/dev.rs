//! How a web interface is shown while it is worked on: by a dev server of its own, where it has one.

use super::super::{cache, path};
use crate::Interface;
use serde_json::Value;
use std::path::Path;

/// What starts the dev server of a web interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevCommand {
    /// The project's folder, in the app.
    pub folder: String,
    /// As a shell takes it.
    pub command: String,
    /// The port that it is said to listen on.
    pub port: Option<u16>,
}

/// The command that the interface names (`devCommand`), else `npm run dev`, where its package.json has
/// a script of that name; nothing, where neither is there.
pub fn dev_command(root: &Path, web: &Interface) -> Option<DevCommand> {
    let folder = path::normalize(&web.dir);
    let named = web.config["devCommand"].as_str().map(str::to_owned);
    let of_script = || {
        let manifest = root.join(&folder).join("package.json");
        let manifest: Value = cache::read(&manifest).unwrap_or_default();
        let script = manifest["scripts"]["dev"].as_str()?;
        (!script.is_empty()).then(|| "npm run dev".to_owned())
    };
    Some(DevCommand {
        command: named.or_else(of_script)?,
        folder,
        port: web.config["devPort"]
            .as_f64()
            .map(|port| port as u16)
            .filter(|port| *port > 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Type;
    use serde_json::json;
    use std::{collections::BTreeMap, fs};

    fn web(config: Value) -> Interface {
        Interface {
            kind: Type::Web,
            enabled: true,
            file: "web/web.json".to_owned(),
            pointer: String::new(),
            config,
            files: BTreeMap::new(),
            dir: "./web".to_owned(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_dev_server_is_one_that_is_named_or_a_script() {
        let app = tempfile::tempdir().unwrap();
        let of = |config| dev_command(app.path(), &web(config));
        assert_eq!(of(json!({})), None);
        let named = of(json!({ "devCommand": "npx serve", "devPort": 5000 })).unwrap();
        assert_eq!(
            (named.command.as_str(), named.port, named.folder.as_str()),
            ("npx serve", Some(5000), "web")
        );
        fs::create_dir(app.path().join("web")).unwrap();
        let manifest = app.path().join("web/package.json");
        fs::write(&manifest, r#"{ "scripts": { "build": "vite build" } }"#).unwrap();
        assert_eq!(of(json!({})), None);
        fs::write(&manifest, r#"{ "scripts": { "dev": "vite" } }"#).unwrap();
        assert_eq!(of(json!({})).unwrap().command, "npm run dev");
    }
}
