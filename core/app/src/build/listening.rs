//! Where a program of a build listens: the sockets of its own processes say it, so that it is never
//! mistaken for another program that has taken the port which it is said to have.

use rustix::process::Pid;
use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// What `/proc/net/tcp` has for a socket that listens.
const LISTENS: &str = "0A";

/// Where a process and all that it has started listen (TCP).
pub fn addresses(of: Pid) -> Vec<SocketAddr> {
    let mut sockets = BTreeSet::new();
    let mut all = vec![of.as_raw_nonzero().get()];
    while let Some(process) = all.pop() {
        all.extend(children(process));
        sockets.extend(sockets_of(process));
    }
    if sockets.is_empty() {
        return Vec::new();
    }
    ["tcp", "tcp6"]
        .iter()
        .flat_map(|table| listening(table, &sockets))
        .collect()
}

fn children(process: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let texts = threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let numbers = |text: String| -> Vec<i32> {
        let numbers = text.split_whitespace();
        numbers.filter_map(|number| number.parse().ok()).collect()
    };
    texts.flat_map(numbers).collect()
}

/// The numbers of a process's sockets.
fn sockets_of(process: i32) -> Vec<String> {
    let open = fs::read_dir(format!("/proc/{process}/fd"));
    let links = open
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .filter_map(|link| {
            let number = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(number.to_owned())
        })
        .collect()
}

fn listening(table: &str, sockets: &BTreeSet<String>) -> Vec<SocketAddr> {
    let text = fs::read_to_string(format!("/proc/self/net/{table}")).unwrap_or_default();
    let found = text.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [_, address, _, state, _, _, _, _, _, number, ..] = columns[..] else {
            return None;
        };
        (state == LISTENS && sockets.contains(number)).then(|| of_text(address))?
    });
    found.collect()
}

/// `0100007F:1435` is 127.0.0.1:5173: words of 32 bits, each as this machine has it.
fn of_text(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<[u8; 4]>> = (0..address.len() / 8)
        .map(|at| {
            let word = address.get(at * 8..at * 8 + 8)?;
            Some(u32::from_str_radix(word, 16).ok()?.to_ne_bytes())
        })
        .collect();
    let address: IpAddr = match words?[..] {
        [word] => Ipv4Addr::from(word).into(),
        [a, b, c, d] => {
            let bytes: [u8; 16] = [a, b, c, d].concat().try_into().ok()?;
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn it_is_found_where_this_process_listens() {
        for at in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            // A machine may have no IPv6.
            let Ok(listener) = TcpListener::bind(at) else {
                continue;
            };
            let address = listener.local_addr().unwrap();
            let own = Pid::from_raw(std::process::id() as i32).unwrap();
            assert!(addresses(own).contains(&address), "{address}");
            drop(listener);
            assert!(!addresses(own).contains(&address), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        for wrong in ["", ":", "0100007F", "0100007F:", "zz00007F:1435", "01:1435"] {
            assert_eq!(of_text(wrong), None, "{wrong}");
        }
    }
}
