//! The example app in a browser: a purchase order is clicked through as its spec says, and what is
//! published meanwhile goes live under the open page.
use remy_tests::{
    browser::Browser,
    example::{Example, Served, approves, has_vendor, orders, signs_in},
    fakes::{Mail, MailServer},
    not_covered, shell,
};

const ANN: &str = "ann@example.org";

/// Nothing has gone wrong on a page, nor was it loaded since.
fn is_open_since(browser: &mut Browser, loads: u64) {
    assert_eq!(browser.faults(), serde_json::json!([]));
    assert_eq!(browser.loads(), loads);
}

/// Signs in on live, and becomes somebody who may order and approve.
fn begins(browser: &mut Browser, app: &Example, served: &Served, mail: &MailServer) {
    browser.open(&served.url);
    signs_in(browser, ANN, || mail.code(1));
    let live = app.root().join(".remy/live.db");
    shell(&live, r#"UPDATE users SET roles = '["requester","buyer"]'"#);
}

#[test]
fn an_order_is_clicked_through_while_releases_go_live() {
    let mut browser = match Browser::start() {
        Ok(browser) => browser,
        Err(why) => return not_covered("pages in a browser", &why),
    };
    let (app, mail) = (Example::new(), MailServer::start(Mail::default()));
    app.remy(&["publish", "--quiet"]);
    let smtp = format!("smtp://127.0.0.1:{}?from=hello@example.com", mail.port);
    app.feeds(&["secrets", "set", "SMTP_URL", "--server"], &smtp);
    let served = app.serves(&["serve"]);
    begins(&mut browser, &app, &served, &mail);
    has_vendor(&mut browser, "Acme");
    orders(&mut browser, "Acme", "Pens");

    // A preview has what live had, and a login of its own.
    app.remy(&["stage", "--preview", "try", "--quiet"]);
    let preview = served.preview("try");
    browser.open(&preview);
    signs_in(&mut browser, ANN, || mail.code(2));
    orders(&mut browser, "Acme", "Ink");
    approves(&mut browser, "Ink");
    // Another one of that name under the open page begins with what live has.
    let loads = browser.loads();
    app.becomes("tests/app-changes");
    app.remy(&["stage", "--preview", "try", "--quiet"]);
    approves(&mut browser, "Pens");
    is_open_since(&mut browser, loads);
    browser.does("reload", &[]);
    browser.sees("Invoices", "");
    browser.sees(ANN, "");

    // Of all that live knows nothing, until it is published under its open page.
    browser.open(&served.url);
    browser.sees("waiting", "Pens");
    let loads = browser.loads();
    app.remy(&["publish", "--quiet"]);
    approves(&mut browser, "Pens");
    orders(&mut browser, "Acme", "Paper");
    is_open_since(&mut browser, loads);
    browser.does("reload", &[]);
    browser.sees("Invoices", "");
    browser.sees(ANN, "");
    browser.clicks("Sign out", "");
    browser.sees("Send a code", "");
    assert_eq!(browser.faults(), serde_json::json!([]));
    drop(served);
    in_dev(&mut browser, &app);
}

/// The same in dev, where what is saved is there at once.
fn in_dev(browser: &mut Browser, app: &Example) {
    let served = app.serves(&["dev"]);
    // It may have to be installed first: what is shown until then is loaded again by itself.
    browser.does("open", &[&served.url]);
    signs_in(browser, "remy@mindstudio.ai", || "123456".to_owned());
    let loads = browser.loads();
    browser.value("window.mark = 'mine'");
    app.remy(&["dev", "seed", "busy-month", "default"]);
    has_vendor(browser, "Bolt");
    browser.sees("Northwind Chairs", "");
    approves(browser, "Envelopes");
    orders(browser, "Bolt", "Nuts");
    app.remy(&["dev", "truncate", "default"]);
    browser.fills(&[("Name", "Cog"), ("Contact email", "hi@cog.example")]);
    browser.clicks("Request vendor", "");
    browser.sees("pending", "Cog");
    // A component, by vite, and a method.
    app.changes(
        "dist/interfaces/web/src/Orders.tsx",
        "Purchase orders",
        "All that was ordered",
    );
    browser.sees("All that was ordered", "");
    app.changes(
        "dist/methods/src/requestVendor.ts",
        "vendorName(input.name)",
        "vendorName(input.name).toUpperCase()",
    );
    browser.sees("Cog", "");
    let mut times = 0;
    loop {
        let (name, email) = (format!("Dot{times}"), format!("{times}@dot.example"));
        browser.fills(&[("Name", &name), ("Contact email", &email)]);
        browser.clicks("Request vendor", "");
        browser.sees("pending", &name);
        let text = browser.does("text", &[]);
        if text.as_str().unwrap().contains(&name.to_uppercase()) {
            break;
        }
        times += 1;
        assert!(times < 50, "the method is as it was");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(browser.value("window.mark"), "mine");
    is_open_since(browser, loads);
}
