//! The app that is served here.
use remy_db::{Options, Remy};
use remy_db_app::{
    place::Named,
    project::{Follow, Project, Publish, Tools},
};
use remy_tests::{esbuild, live::App, publish_in, repository};
use std::{fs, sync::atomic::AtomicBool};

const MANIFEST: &str = r#"{
  "name": "shop",
  "appId": "shop-1",
  "tables": [{ "path": "src/tables.ts", "export": "Orders" }],
  "methods": [
    { "id": "add-order", "path": "src/shop.ts", "export": "addOrder" },
    { "id": "count-orders", "path": "src/shop.ts", "export": "countOrders" },
    { "id": "about", "path": "src/shop.ts", "export": "about" },
    { "id": "fail", "path": "src/shop.ts", "export": "fail" },
    { "id": "stream-parts", "path": "src/shop.ts", "export": "streamParts" },
    { "id": "stream-for-ever", "path": "src/shop.ts", "export": "streamForEver" },
    { "id": "platform", "path": "src/platform.ts", "export": "platform" },
    { "id": "fetches", "path": "src/shop.ts", "export": "fetches" },
    { "id": "wait", "path": "src/shop.ts", "export": "wait" }
  ],
  "interfaces": [{ "type": "web", "path": "web/web.json" }]
}"#;

/// A build that names what it writes by its hash, as builds do.
pub const BUILD: &str = r#"
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
const script = readFileSync('main.js');
const hash = createHash('sha256').update(script).digest('hex').slice(0, 8);
mkdirSync('dist/assets', { recursive: true });
cpSync('public', 'dist', { recursive: true });
writeFileSync(`dist/assets/main-a1${hash}.js`, script);
writeFileSync('dist/index.html', `<!doctype html><html><head><title>shop</title></head><body><script src="/assets/main-a1${hash}.js"></script></body></html>`);
mkdirSync('dist/docs', { recursive: true });
writeFileSync('dist/docs/index.html', '<html><head></head><body>docs</body></html>');
writeFileSync('dist/terms.html', '<html><head></head><body>terms</body></html>');
"#;

/// The app, live.
pub fn shop() -> App {
    let app = App::empty();
    write(&app);
    publish(&app, None);
    app
}

/// Its files.
pub fn write(app: &App) {
    app.file("shop/mindstudio.json", MANIFEST);
    for file in ["shop.ts", "tables.ts", "platform.ts"] {
        let text = fs::read_to_string(repository("tests/server").join(file)).unwrap();
        app.file(&format!("shop/src/{file}"), &text);
    }
    app.file("shop/web/web.json", r#"{ "web": {} }"#);
    app.file(
        "shop/web/package.json",
        r#"{ "name": "shop-web", "type": "module", "scripts": { "build": "node build.mjs" } }"#,
    );
    app.file("shop/web/build.mjs", BUILD);
    app.file("shop/web/public/photo-Summer24.svg", "<svg/>");
    app.file("shop/web/public/robots.txt", "User-agent: *\n");
    script(app, "one");
}

/// Says what the page's script is.
pub fn script(app: &App, word: &str) {
    let text = format!("console.log('{word}');\n").repeat(200);
    app.file("shop/web/main.js", &text);
}

/// Publishes it, as a preview where that has a name.
pub fn publish(app: &App, name: Option<&str>) {
    let Some(name) = name else {
        let folder = app.dir.path().join("shop");
        let outcome = publish_in(&folder, Some(&app.live), None);
        assert_eq!(outcome.unwrap().status.as_str(), "live");
        return;
    };
    preview(app, "shop", name);
}

/// Publishes the app of a folder as a preview.
pub fn preview(app: &App, folder: &str, name: &str) {
    let folder = app.dir.path().join(folder);
    let named = Named {
        db: Some(app.live.clone()),
        here: true,
        ..Named::default()
    };
    let project = Project::find(&folder, &named, |path| Remy::open(path)).unwrap();
    let publish = Publish {
        options: Options {
            preview: Some(name.to_owned()),
            ..Options::default()
        },
        tools: Tools {
            esbuild: Some(esbuild()),
            node: None,
        },
        ..Publish::default()
    };
    let never = AtomicBool::new(false);
    let outcome = project.stage(&publish, Follow::new(&|_| (), &never));
    assert_eq!(outcome.unwrap().status.as_str(), "preview");
}
