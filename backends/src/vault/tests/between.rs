//! Stands before a Vault and passes on what it is asked, unless it is told otherwise; and keeps what it saw.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What is done with one request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Pass,
    /// Passes it on, and so many bytes of the answer back.
    Cut(usize),
    /// Answers this, from the status code to the body.
    Answer(String),
    /// Says nothing for ever.
    Silence,
    /// Closes the connection.
    HangUp,
}

impl Act {
    /// An answer with a body, and further headers, each with its line's end.
    pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Self {
        Self::Answer(format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
    }

    /// What Vault says when it does not do something.
    pub(crate) fn error(status: u16, headers: &str, error: &str) -> Self {
        Self::answer(status, headers, &format!(r#"{{"errors":["{error}"]}}"#))
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// It ends when this is dropped.
pub(crate) struct Between {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

/// By the request, and how many there were before it for which it was asked.
type Script = dyn Fn(&Seen, usize) -> Act + Send + Sync;

struct Shared {
    upstream: u16,
    script: Mutex<Arc<Script>>,
    seen: Mutex<Vec<Seen>>,
}

impl Between {
    /// Before 127.0.0.1:`upstream`, passing everything on for now.
    pub(crate) async fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script: Arc<Script> = Arc::new(|_, _| Act::Pass);
        let shared = Arc::new(Shared { upstream, script: Mutex::new(script), seen: Mutex::default() });
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, _serving: serving }
    }

    /// Before nothing: every act but those that pass.
    pub(crate) async fn alone(script: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Self {
        let between = Self::before(9).await;
        between.play(script);
        between
    }

    /// From now on this happens. Requests are counted anew.
    pub(crate) fn play(&self, script: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
        self.shared.seen.lock().unwrap().clear();
    }

    /// What came since the script is played.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many requests came that have this in their first line or headers.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.seen().iter().filter(|seen| seen.head.contains(part)).count()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// One request, for each says that it is the last one of its connection.
async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let Some(seen) = request(&mut client).await else { return };
    let act = {
        let (script, mut all) = (shared.script.lock().unwrap().clone(), shared.seen.lock().unwrap());
        all.push(seen.clone());
        script(&seen, all.len() - 1)
    };
    let answer = match act {
        Act::Pass => pass_on(&seen, shared.upstream).await,
        Act::Cut(bytes) => {
            let mut answer = pass_on(&seen, shared.upstream).await;
            answer.truncate(bytes);
            answer
        }
        Act::Answer(answer) => answer.replacen("\r\n", "\r\nconnection: close\r\n", 1).into_bytes(),
        Act::Silence => std::future::pending().await,
        Act::HangUp => return,
    };
    let _end = client.write_all(&answer).await;
}

async fn request(client: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Some(Seen { head: head.to_owned(), body: body.to_owned() });
        }
    }
}

async fn pass_on(seen: &Seen, upstream: u16) -> Vec<u8> {
    let mut answer = Vec::new();
    let Ok(mut vault) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await else { return answer };
    let request = format!("{}\r\nconnection: close\r\n\r\n{}", seen.head, seen.body);
    if vault.write_all(request.as_bytes()).await.is_ok() {
        let _end = vault.read_to_end(&mut answer).await;
    }
    answer
}
