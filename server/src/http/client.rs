//! Who sends a request, as far as taking turns goes.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use engine::ClientId;

/// Where a proxy says whom it speaks for.
const FORWARDED: &str = "x-forwarded-for";

/// The proxies in front of this server whose word is taken for who sends a request; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Arc<[IpAddr]>);

impl Proxies {
    /// Believes these addresses.
    pub fn new(addresses: &[IpAddr]) -> Self {
        Self(addresses.iter().map(IpAddr::to_canonical).collect())
    }

    fn has(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// The address of who sends a request that came from `peer`. Each proxy adds the address that it was
    /// called from at the end; so the last one that isn't a proxy's is true, and what stands before it
    /// could have been written by anybody.
    fn sender(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.has(peer) {
            return peer;
        }
        let values: Vec<&str> =
            headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok()).collect();
        let list = values.join(",");
        let mut sender = peer;
        for address in list.rsplit(',') {
            let Ok(address) = address.trim().parse() else { break };
            sender = address;
            if !self.has(address) {
                break;
            }
        }
        sender
    }
}

/// Who sends the request: the address at the other end of the connection, or what a known proxy says. A
/// header that anybody else sends isn't believed.
pub struct Client(pub ClientId);

impl<S: Send + Sync> FromRequestParts<S> for Client
where
    Proxies: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else {
            return Ok(Self(ClientId::new("unknown")));
        };
        Ok(Self(client_of(Proxies::from_ref(state).sender(peer.ip(), &parts.headers))))
    }
}

/// Of an IPv6 address only the first half counts: one visitor has all of the second.
fn client_of(address: IpAddr) -> ClientId {
    match address.to_canonical() {
        IpAddr::V4(address) => ClientId::new(&address.to_string()),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64;
            ClientId::new(&format!("{network:016x}::"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_network_of_the_longer_kind() {
        let client = |address: &str| client_of(address.parse().unwrap());
        assert_ne!(client("10.0.0.1"), client("10.0.0.2"));
        assert_eq!(client("10.0.0.1"), client("::ffff:10.0.0.1"));
        assert_eq!(client("2001:db8:1:2::5"), client("2001:db8:1:2:9::"));
        assert_ne!(client("2001:db8:1:2::5"), client("2001:db8:1:3::5"));
    }

    #[test]
    fn only_known_proxies_are_believed_and_only_their_own_word() {
        let address = |text: &str| -> IpAddr { text.parse().unwrap() };
        let proxies = Proxies::new(&[address("127.0.0.1"), address("10.0.0.9")]);
        for (peer, forwarded, sender) in [
            // Somebody without a proxy, whatever they claim.
            ("192.0.2.1", &["203.0.113.5"][..], "192.0.2.1"),
            ("127.0.0.1", &["203.0.113.5"], "203.0.113.5"),
            // The visitor made the first entry up.
            ("127.0.0.1", &["8.8.8.8, 203.0.113.5"], "203.0.113.5"),
            ("127.0.0.1", &["8.8.8.8", "203.0.113.5"], "203.0.113.5"),
            // Two proxies, one behind the other.
            ("::ffff:127.0.0.1", &["203.0.113.5, 10.0.0.9"], "203.0.113.5"),
            // Nothing of use.
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["unknown"], "127.0.0.1"),
            ("127.0.0.1", &["203.0.113.5, unknown"], "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(FORWARDED, value.parse().unwrap());
            }
            assert_eq!(
                proxies.sender(address(peer), &headers),
                address(sender),
                "{peer} {forwarded:?}"
            );
        }
        assert_eq!(
            Proxies::default().sender(address("127.0.0.1"), &HeaderMap::new()),
            address("127.0.0.1")
        );
    }
}
