//! Pod addresses: which are free, and which are free on this machine's loopback network.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpStream;

use crate::runtime::{Connection, RuntimeError};

/// A range of addresses of which each is given to one pod at a time.
#[derive(Debug)]
pub(super) struct AddressPool {
    first: u32,
    count: u32,
    /// How many were ever given: beyond them all are free.
    fresh: u32,
    returned: BTreeSet<u32>,
    /// The one that was last given again.
    last: u32,
    /// Taken from outside, such as by a pod found again after a restart.
    reserved: BTreeSet<u32>,
}

impl AddressPool {
    /// The addresses of a network except its own and its broadcast address.
    pub(super) fn network(base: Ipv4Addr, prefix: u8) -> Self {
        let size = 1_u64 << (32 - u32::from(prefix.min(32)));
        let mask = u32::try_from(size - 1).unwrap_or(u32::MAX);
        let (first, count) = if size > 2 { (1, mask - 1) } else { (0, mask + 1) };
        Self::range((base.to_bits() & !mask) + first, count)
    }

    fn range(first: u32, count: u32) -> Self {
        Self { first, count, fresh: 0, returned: BTreeSet::new(), last: 0, reserved: BTreeSet::new() }
    }

    /// The next fresh address, or when there is none the next one given back; `None` if all are in use. Goes round, since an
    /// address may still have connections that wind down when it comes back.
    pub(super) fn take(&mut self) -> Option<Ipv4Addr> {
        while self.fresh < self.count {
            let address = self.first + self.fresh;
            self.fresh += 1;
            if !self.reserved.contains(&address) {
                return Some(Ipv4Addr::from_bits(address));
            }
        }
        let further = self.returned.range(self.last + 1..).next();
        self.last = further.or_else(|| self.returned.first()).copied()?;
        self.returned.remove(&self.last);
        Some(Ipv4Addr::from_bits(self.last))
    }

    /// Marks one as taken that this pool did not give.
    pub(super) fn reserve(&mut self, address: Ipv4Addr) {
        if !self.returned.remove(&address.to_bits()) {
            self.reserved.insert(address.to_bits());
        }
    }

    pub(super) fn give_back(&mut self, address: Ipv4Addr) {
        let address = address.to_bits();
        self.reserved.remove(&address);
        let passed = address >= self.first && address - self.first < self.fresh;
        if passed {
            self.returned.insert(address);
        }
    }
}

/// The whole network 127.0.0.0/8 belongs to this machine, so every pod can have an address of its own there and listen on
/// the port it likes. The network is the machine's, hence one pool per process; processes start at different places in it.
static LOOPBACK: Mutex<Option<AddressPool>> = Mutex::new(None);

/// A loopback address that no other pod of this process has.
pub(super) fn take_loopback() -> Option<IpAddr> {
    with_loopback(AddressPool::take).map(IpAddr::V4)
}

/// A connection to a port of a pod that has such an address.
pub(super) async fn connect(addresses: &[IpAddr], port: u16) -> Result<Connection, RuntimeError> {
    let none = || RuntimeError::Container("the pod has no address".into());
    let address = SocketAddr::new(*addresses.first().ok_or_else(none)?, port);
    let refused = |error| RuntimeError::Container(format!("failed to connect to {address}: {error}"));
    Ok(Box::new(TcpStream::connect(address).await.map_err(refused)?))
}

/// Keeps an address from being given to others.
pub(super) fn reserve_loopback(address: IpAddr) {
    if let IpAddr::V4(address) = address {
        with_loopback(|pool| pool.reserve(address));
    }
}

/// Frees an address.
pub(super) fn give_back_loopback(address: IpAddr) {
    if let IpAddr::V4(address) = address {
        with_loopback(|pool| pool.give_back(address));
    }
}

fn with_loopback<T>(act: impl FnOnce(&mut AddressPool) -> T) -> T {
    let mut pool = LOOPBACK.lock().unwrap_or_else(PoisonError::into_inner);
    act(pool.get_or_insert_with(|| loopback_from(std::process::id())))
}

/// 127.1.0.1 and on; a stretch of 1,024 addresses per process id before the next one's begins.
fn loopback_from(process: u32) -> AddressPool {
    const FIRST: u32 = Ipv4Addr::new(127, 1, 0, 1).to_bits();
    const STRETCH: u32 = 1024;
    const STRETCHES: u32 = 16_000; // 16,000 x 1,024 + 64 x 1,024 addresses 127.252.0.0
    AddressPool::range(FIRST + (process % STRETCHES) * STRETCH, STRETCH * 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_gives_each_address_once_and_again_when_it_came_back() {
        let mut pool = AddressPool::network(Ipv4Addr::new(10, 0, 3, 77), 30);
        assert_eq!(pool.take(), Some(Ipv4Addr::new(10, 0, 3, 77)));
        assert_eq!(pool.take(), Some(Ipv4Addr::new(10, 0, 3, 78)));
        assert_eq!(pool.take(), None);
        pool.give_back(Ipv4Addr::new(10, 0, 3, 77));
        assert_eq!(pool.take(), Some(Ipv4Addr::new(10, 0, 3, 77)));
    }

    #[test]
    fn a_reserved_address_is_not_given_until_it_comes_back() {
        let mut pool = AddressPool::network(Ipv4Addr::new(10, 0, 0, 0), 29);
        pool.reserve(Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(pool.take(), Some(Ipv4Addr::new(10, 0, 0, 2)));
        pool.give_back(Ipv4Addr::new(10, 0, 0, 1));
        let rest: Vec<_> = std::iter::from_fn(|| pool.take()).map(|address| address.octets()[3]).collect();
        assert_eq!(rest, [3, 4, 5, 6, 1]);
    }

    #[test]
    fn addresses_given_back_go_round() {
        let mut pool = AddressPool::network(Ipv4Addr::new(10, 0, 0, 0), 29);
        let all: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        let mut given = Vec::new();
        for address in [all[2], all[0], all[2]] {
            pool.give_back(address);
            pool.give_back(all[4]);
            given.push(pool.take().unwrap().octets()[3]);
        }
        assert_eq!(given, [3, 5, 1]);
    }

    #[test]
    fn every_process_finds_its_loopback_addresses_within_the_network() {
        for process in [0, 1, 15_999, 16_000, 4_194_304] {
            let mut pool = loopback_from(process);
            let last = Ipv4Addr::from_bits(pool.first + pool.count);
            assert!(pool.take().is_some_and(|address| address.is_loopback()));
            assert!(last.is_loopback(), "{last}");
        }
    }
}
