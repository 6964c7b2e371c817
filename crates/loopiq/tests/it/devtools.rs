//! A browser for stories: headless Chromium over its own DevTools protocol. Generated clients of that protocol are
//! larger than this product; the dozen commands used here are not worth their compile time. It types and presses as a
//! person does, through input events at elements found by the words on them, so that it works with script switched
//! off; and it remembers whatever the pages asked for and complained about.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::server::tool;

/// Longer than any page takes on a busy machine; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// One tab of a browser of its own. Killed when dropped.
pub struct Browser {
    child: Child,
    /// Kept open: a browser whose log goes nowhere ends.
    _log: BufReader<ChildStderr>,
    _profile: tempfile::TempDir,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    /// Id of its passkey authenticator, if it has one.
    authenticator: Value,
    sent: u64,
    events: Vec<Value>,
}

impl Browser {
    pub fn open() -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new(tool("LOOPIQ_TEST_CHROMIUM"))
            // Without the sandbox, because tests also run as root in a container; the only pages are our own.
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
            .args(["--remote-debugging-port=0", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the browser starts");
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the browser ended before it listened");
            if let Some(address) = line.trim().strip_prefix("DevTools listening on ") {
                break address.to_owned();
            }
        };
        let host = address.strip_prefix("ws://").and_then(|rest| rest.split('/').next()).unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(&address, stream).unwrap();
        let mut browser = Browser {
            child,
            _log: log,
            _profile: profile,
            socket,
            session: None,
            authenticator: Value::Null,
            sent: 0,
            events: Vec::new(),
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached =
            browser.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Network", "Runtime", "Log", "Audits"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.show(1280, "light");
        browser
    }

    /// Sends a command and waits for its answer; events that come meanwhile are remembered.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(message.to_string())).unwrap();
        loop {
            let answer = self.receive();
            if answer["id"] == json!(self.sent) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn receive(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().expect("the browser answers in time") {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    fn events(&self, method: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |e| e["method"] == method).map(|e| &e["params"])
    }

    /// Does what leads to a new page and waits until that is loaded; its status.
    pub fn load(&mut self, lead: impl FnOnce(&mut Browser)) -> u64 {
        let loads = self.events("Page.loadEventFired").count();
        lead(self);
        while self.events("Page.loadEventFired").count() == loads {
            let event = self.receive();
            self.events.push(event);
        }
        let documents = self.events("Network.responseReceived").filter(|e| e["type"] == "Document");
        documents.last().unwrap()["response"]["status"].as_u64().unwrap()
    }

    pub fn visit(&mut self, url: &str) -> u64 {
        self.load(|browser| {
            browser.call("Page.navigate", json!({ "url": url }));
        })
    }

    /// How wide the window is, and which colours its person prefers.
    pub fn show(&mut self, width: u32, scheme: &str) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500 }),
        );
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            // Nothing moves while it is being pressed.
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    pub fn without_script(&mut self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    }

    /// Gives the browser a passkey authenticator that recognises its person without asking.
    pub fn with_authenticator(&mut self) {
        self.call("WebAuthn.enable", json!({}));
        let options = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserVerified": true, "automaticPresenceSimulation": true,
        });
        let added = self.call("WebAuthn.addVirtualAuthenticator", json!({ "options": options }));
        self.authenticator = added["authenticatorId"].clone();
    }

    /// Whether the authenticator recognises its person from now on.
    pub fn recognises(&mut self, person: bool) {
        let set = json!({ "authenticatorId": self.authenticator, "isUserVerified": person });
        self.call("WebAuthn.setUserVerified", set);
    }

    /// Names of the passkeys that the authenticator holds, base64url as options have them.
    pub fn names(&mut self) -> Vec<String> {
        let held = self.call("WebAuthn.getCredentials", json!({ "authenticatorId": self.authenticator }));
        let names = held["credentials"].as_array().unwrap().iter();
        let plain = |id: &Value| id.as_str().unwrap().replace('+', "-").replace('/', "_").replace('=', "");
        names.map(|credential| plain(&credential["credentialId"])).collect()
    }

    /// Forgets its cookies, as one in which nobody has signed in.
    pub fn forget_cookies(&mut self) {
        self.call("Network.clearBrowserCookies", json!({}));
    }

    /// What the authenticator answers when a page asks it by these options (WebAuthn, JSON form).
    pub fn signs(&mut self, options: &Value) -> Value {
        let asked = format!(
            "navigator.credentials.get({{ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON({options}) }})
                .then(made => made.toJSON())"
        );
        self.wait_for(&asked)
    }

    /// What a promise comes to.
    pub fn wait_for(&mut self, promise: &str) -> Value {
        let wait = json!({ "expression": promise, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", wait);
        let start: String = promise.chars().take(200).collect();
        assert!(answer["exceptionDetails"].is_null(), "{start}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Presses keys, by the names that pages know them by; modifiers as the protocol counts them (2 is Control).
    pub fn key(&mut self, key: &str, modifiers: u32) {
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "ArrowDown" => 40,
            "ArrowUp" => 38,
            _ => u32::from(key.bytes().next().unwrap_or_default().to_ascii_uppercase()),
        };
        for kind in ["rawKeyDown", "keyUp"] {
            let event =
                json!({ "type": kind, "key": key, "modifiers": modifiers, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Types where the focus is.
    pub fn type_here(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// What keeps the page from being installed like a program of the machine.
    pub fn not_installable(&mut self) -> Value {
        self.call("Page.getInstallabilityErrors", json!({}))["installabilityErrors"].clone()
    }

    /// What is on the screen, as the bytes of a WebP: half as many as of a PNG, without another tool.
    pub fn picture(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "webp", "quality": 85 }));
        data_encoding::BASE64.decode(shot["data"].as_str().unwrap().as_bytes()).unwrap()
    }

    /// The page on paper, as the bytes of a PDF.
    pub fn printed(&mut self) -> Vec<u8> {
        let options = json!({ "preferCSSPageSize": true, "printBackground": true, "paperWidth": 8.27, "paperHeight": 11.69 });
        let paper = self.call("Page.printToPDF", options);
        data_encoding::BASE64.decode(paper["data"].as_str().unwrap().as_bytes()).unwrap()
    }

    /// Looks at the page as on paper, or on the screen again.
    pub fn on_paper(&mut self, paper: bool) {
        self.call("Emulation.setEmulatedMedia", json!({ "media": if paper { "print" } else { "screen" } }));
    }

    /// The value of an expression about the page. Works with the page's own script switched off.
    pub fn ask(&mut self, expression: &str) -> Value {
        let answer =
            self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }));
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression about the page is true; the page itself looks, a few times a second. Needs script.
    pub fn until(&mut self, expression: &str) {
        let waiting = format!(
            "new Promise(done => {{ const look = () => ({expression}) ? done(true) : setTimeout(look, 100); look(); }})"
        );
        self.wait_for(&waiting);
    }

    pub fn text(&mut self) -> String {
        self.ask("document.body.innerText").as_str().unwrap().to_owned()
    }

    pub fn address(&mut self) -> String {
        self.ask("location.href").as_str().unwrap().to_owned()
    }

    /// Brings the one element the `XPath` names into view.
    fn find(&mut self, path: &str) -> Value {
        self.call("DOM.getDocument", json!({}));
        let search = self.call("DOM.performSearch", json!({ "query": path }));
        assert_eq!(search["resultCount"], 1, "{path} at {}", self.address());
        let range = json!({ "searchId": search["searchId"], "fromIndex": 0, "toIndex": 1 });
        let node = json!({ "nodeId": self.call("DOM.getSearchResults", range)["nodeIds"][0] });
        self.call("DOM.scrollIntoViewIfNeeded", node.clone());
        node
    }

    /// Types into the field with this label.
    pub fn write(&mut self, label: &str, text: &str) {
        let field = self.find(&format!("//*[@id = //label[normalize-space() = '{label}']/@for]"));
        self.call("DOM.focus", field);
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Presses the button with these words and waits for the page it leads to; that page's status.
    pub fn press(&mut self, words: &str) -> u64 {
        self.load(|browser| browser.press_on_page(words))
    }

    /// Presses the button with these words, which leads to no new page.
    pub fn press_on_page(&mut self, words: &str) {
        self.click(&format!("//button[normalize-space() = '{words}']"));
    }

    /// Follows the link in the main part that the `XPath` says more of, to the page it leads to; that page's status.
    pub fn follow_link(&mut self, which: &str) -> u64 {
        self.load(|browser| browser.click(&format!("//main//a[{which}]")))
    }

    /// Chooses a value of the list with this label.
    pub fn choose(&mut self, label: &str, value: &str) {
        let list = format!("//select[@id = //label[normalize-space() = '{label}']/@for]");
        let set = "function (value) { this.value = value; this.dispatchEvent(new Event('change', { bubbles: true })); \
                   return this.value; }";
        assert_eq!(self.of_element(&list, set, &[json!(value)]), value, "{label} has {value}");
    }

    /// Keeps files that are downloaded in a folder.
    pub fn keep_downloads(&mut self, folder: &Path) {
        let session = self.session.take();
        let keep =
            json!({ "behavior": "allow", "downloadPath": folder.to_str().unwrap(), "eventsEnabled": true });
        self.call("Browser.setDownloadBehavior", keep);
        self.session = session;
    }

    /// Follows the link in the main part with these words, which leads to a file; waits until that is whole. Its name.
    pub fn download(&mut self, words: &str) -> String {
        let ended = |browser: &Browser| {
            let told = browser.events("Browser.downloadProgress");
            told.filter(|told| told["state"] != "inProgress")
                .map(|told| told["state"].clone())
                .collect::<Vec<_>>()
        };
        let before = ended(self).len();
        self.click(&format!("//main//a[normalize-space() = '{words}']"));
        while ended(self).len() == before {
            let event = self.receive();
            self.events.push(event);
        }
        assert_eq!(ended(self).last().unwrap(), "completed", "{words}");
        let begun = self.events("Browser.downloadWillBegin").last().unwrap();
        begun["suggestedFilename"].as_str().unwrap().to_owned()
    }

    /// The value of a function called on an element, with arguments. Works with the page's own script switched off.
    fn of_element(&mut self, path: &str, function: &str, arguments: &[Value]) -> Value {
        let node = self.find(path);
        let object = self.call("DOM.resolveNode", node)["object"]["objectId"].clone();
        let arguments: Vec<Value> = arguments.iter().map(|value| json!({ "value": value })).collect();
        let call = json!({
            "functionDeclaration": function, "objectId": object, "arguments": arguments, "returnByValue": true,
        });
        self.call("Runtime.callFunctionOn", call)["result"]["value"].clone()
    }

    /// Clicks in the middle of the one element the `XPath` names, where nothing may lie over it.
    fn click(&mut self, path: &str) {
        let middle = "function () {
            this.scrollIntoView({ block: 'center', inline: 'nearest', behavior: 'instant' });
            const box = this.getClientRects()[0];
            const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
            const there = document.elementFromPoint(x, y);
            return { x, y, covered: this.contains(there) ? null : String(there?.outerHTML).slice(0, 200) };
        }";
        let point = self.of_element(path, middle, &[]);
        assert_eq!(point["covered"], Value::Null, "{path} at {} can be clicked", self.address());
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({ "type": kind, "x": point["x"], "y": point["y"], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Everything the pages asked for.
    pub fn requests(&self) -> Vec<String> {
        let urls = self.events("Network.requestWillBeSent").map(|e| &e["request"]["url"]);
        urls.map(|url| url.as_str().unwrap().to_owned()).collect()
    }

    /// Whatever a developer would see in red: console errors, exceptions, violations of the content policy.
    pub fn complaints(&self) -> Vec<String> {
        let logged = self.events("Log.entryAdded").filter(|e| e["entry"]["level"] == "error");
        let printed = self.events("Runtime.consoleAPICalled").filter(|e| e["type"] == "error");
        let thrown = self.events("Runtime.exceptionThrown");
        let issues = self
            .events("Audits.issueAdded")
            .filter(|e| e["issue"]["code"].as_str().is_some_and(|code| code.contains("SecurityPolicy")));
        logged.chain(printed).chain(thrown).chain(issues).map(Value::to_string).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
