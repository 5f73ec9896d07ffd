//! A token endpoint: grants tokens for a client's secret, in the body or in the header, and for a service account's signed statement.
//!
//! It listens on a thread of its own, so that one serves all tests of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::crypto::ring;

pub const CLIENT_ID: &str = "11111111-2222-3333-4444-555555555555";
pub const CLIENT_SECRET: &str = "s3cr3t~with+signs&more";
pub const EMAIL: &str = "sealtrail@acme.iam.gserviceaccount.com";
pub const PRIVATE_KEY: &str = include_str!("../keys/service-account.pem");
/// The same key's public half (RFC 8017, RSAPublicKey).
const PUBLIC_KEY: &str = "MIIBCgKCAQEA4G/0MOse8jgeQXhdtntmuH95UA8nmPQxZMuQbtc/S+mefNMssX10yGNPGqYHuqRhVO8NdRDHm2pjAQO027/gWn1kCSBuju8WCow8SctzFBPiQDnxRAFARdLnIZ+v2ldyntj85rzoFsfmKtqfIKnYXH3JgBbjIGriTKAKnj4RoJIPS/EDC1HQXzfPLXFyFWiA25I2dyE4j2RYYWkHcFdp8urhkeDcEHjkghjqZ7e4g7kmMjZnWDlVTXLJ/9upiwfiWjRL0HwbWnZUTQe2NET1gpPoTUuGNIZ2q72ZvF5LpTGAqQcQeEdIiKEe7Dv36lb6uUtDVbk2llm8F+Fa7WNUuQIDAQAB";

pub struct Endpoint {
    pub address: SocketAddr,
    pub state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub struct State {
    /// Tokens that are good.
    pub good: BTreeSet<String>,
    /// How many were granted.
    pub granted: usize,
    /// How long each is good, as it is said.
    pub life_s: u64,
    /// Answered instead of a token, once each.
    pub answers: Vec<(u16, &'static str)>,
    /// The fields of the last request, without secrets.
    pub asked: BTreeMap<String, String>,
}

impl Endpoint {
    /// One for all that only need tokens.
    pub fn shared() -> &'static Endpoint {
        static SHARED: OnceLock<Endpoint> = OnceLock::new();
        SHARED.get_or_init(Endpoint::start)
    }

    pub fn start() -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::new(Mutex::new(State { life_s: 3600, ..State::default() }));
        let endpoint = Endpoint { address: listener.local_addr().unwrap(), state: Arc::clone(&state) };
        let url = endpoint.url();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &state, &url);
            }
        });
        endpoint
    }

    pub fn url(&self) -> String {
        format!("http://{}/oauth2/v2.0/token", self.address)
    }

    /// Whether a request bears a token that is good.
    pub fn knows(&self, authorization: Option<&str>) -> bool {
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        token.is_some_and(|token| self.state.lock().unwrap().good.contains(token))
    }

    pub fn revoke(&self) {
        self.state.lock().unwrap().good.clear();
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>, url: &str) {
    let mut reader = BufReader::new(stream);
    let (mut length, mut authorization, mut line) = (0, String::new(), String::new());
    loop {
        line.clear();
        // A connection without a request is how a client's pool ends.
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let (name, value) = line.trim_end().split_once(": ").unwrap_or((line.trim_end(), ""));
        match name.to_ascii_lowercase().as_str() {
            "" => break,
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorization = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let (status, body) = answer(&String::from_utf8(body).unwrap(), &authorization, state, url);
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = reader.get_mut().write_all(format!("{head}{body}").as_bytes());
}

fn answer(body: &str, authorization: &str, state: &Mutex<State>, url: &str) -> (u16, String) {
    let mut state = state.lock().unwrap();
    if let Some((status, text)) = state.answers.pop() {
        return (status, text.to_owned());
    }
    let url_of_body = reqwest::Url::parse(&format!("http://x/?{body}")).unwrap();
    let fields: BTreeMap<String, String> = url_of_body.query_pairs().into_owned().collect();
    let known = match fields.get("grant_type").map(String::as_str) {
        Some("client_credentials") => client_is_known(&fields, authorization),
        Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => statement_is_good(&fields["assertion"], url),
        _ => return (400, r#"{"error":"unsupported_grant_type"}"#.to_owned()),
    };
    if !known {
        return (401, r#"{"error":"invalid_client","error_description":"says who knows what"}"#.to_owned());
    }
    state.granted += 1;
    let token = format!("token-{}", state.granted);
    state.good.insert(token.clone());
    state.asked = fields.into_iter().filter(|(name, _)| name != "client_secret").collect();
    (200, format!(r#"{{"token_type":"Bearer","expires_in":{},"access_token":"{token}"}}"#, state.life_s))
}

fn client_is_known(fields: &BTreeMap<String, String>, authorization: &str) -> bool {
    let (id, secret) = match authorization.strip_prefix("Basic ") {
        None => (fields.get("client_id").cloned(), fields.get("client_secret").cloned()),
        Some(pair) => {
            let pair = String::from_utf8(STANDARD.decode(pair).unwrap()).unwrap();
            let (id, secret) = pair.split_once(':').unwrap();
            let decoded = |text: &str| {
                let url = reqwest::Url::parse(&format!("http://x/?x={text}")).unwrap();
                url.query_pairs().next().map(|(_, value)| value.into_owned())
            };
            (decoded(id), decoded(secret))
        }
    };
    id.as_deref() == Some(CLIENT_ID) && secret.as_deref() == Some(CLIENT_SECRET)
}

/// As RFC 7523 says: who, for whom, till when, and signed with the account's key.
fn statement_is_good(statement: &str, url: &str) -> bool {
    let (signed, signature) = statement.rsplit_once('.').unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let json =
        |part: &str| -> serde_json::Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let (head, claims) = (json(head), json(claims));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let in_time = claims["iat"].as_u64().unwrap() <= now + 5 && claims["exp"].as_u64().unwrap() > now;
    let algorithms = ring::default_provider().signature_verification_algorithms;
    let (_, rs256) =
        algorithms.mapping.iter().find(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = STANDARD.decode(PUBLIC_KEY).unwrap();
    in_time
        && head["alg"] == "RS256"
        && claims["iss"] == EMAIL
        && claims["aud"] == url
        && claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
        && rs256[0].verify_signature(&key, signed.as_bytes(), &signature).is_ok()
}
