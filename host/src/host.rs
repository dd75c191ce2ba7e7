//! A host, from what it needs to its end.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use tao::{
    guard::GuardSource,
    keys::{Hidden, Secret, hibernation},
};

use crate::{
    administer::{
        admin_socket::{Door, Listener},
        host::Host,
        host_guard::HostGuard,
    },
    authority::{identity::Identity, keys::HostKeys, root::Root, state_lock::StateLock},
    calls::service::TaoService,
    confine::places::Places,
    connections::reactor::Reactor,
    counters::{file::TableFile, store::CounterStore},
    error::HostError,
    measure::measuring,
    policy::programs::{Confinement, Lacking, ProgramPolicy},
    start::{abilities::Abilities, error::StartError, program_init, spawn::Spawner},
};

/// What a host needs.
pub struct HostConfig {
    /// Root of its authority.
    pub root: Box<dyn Root>,
    /// Its keys are derived from this, and from the guard's name: 32 secret bytes, the same
    /// at each boot.
    pub host_secret: Hidden<Secret>,
    /// Where the socket `admin.sock` is made: normally /run/tao.
    pub socket_dir: PathBuf,
    /// Group that may use the socket as well, if the guard lets it: none normally.
    pub admin_group: Option<u32>,
    /// Where the programs' counters are kept; without, they end with the host. The directory
    /// need not exist before the first counter does.
    pub state_dir: Option<PathBuf>,
    /// What may be started.
    pub guard: GuardSource,
    /// How it is started.
    pub programs: ProgramPolicy,
}

/// DER SubjectPublicKeyInfo of the key with which a host of this secret and this guard signs:
/// known before there is such a host.
///
/// # Errors
///
/// If the guard has no name, or a key cannot be made.
pub fn public_key(host_secret: &Secret, guard: &GuardSource) -> Result<Vec<u8>, HostError> {
    let keys = HostKeys::derive(host_secret, &guard.subprincipal()?)?;
    Ok(keys.signer.spki().to_vec())
}

/// The confinements of the policy that this machine, for this user, cannot provide; they are logged too.
/// A host finds out by itself when it starts the first program, so that one which starts before
/// the machine's init does not settle for less.
///
/// # Errors
///
/// If the policy lets nothing be started without them; if the first process of a set cannot be made.
pub fn lacking(policy: &ProgramPolicy) -> std::io::Result<Vec<Confinement>> {
    let init = program_init::program()?;
    let lacking = Abilities::find(policy, &init, &Places::default()).lacking;
    if policy.lacking == Lacking::Refuse && !lacking.is_empty() {
        return Err(std::io::Error::other(StartError::Lacking(lacking)));
    }
    Ok(lacking)
}

/// Runs the host in this process until an administrator shuts it down. The calling thread
/// becomes one of those that do the work.
///
/// # Errors
///
/// If it cannot be set up, or cannot go on.
pub fn serve(config: HostConfig) -> Result<(), HostError> {
    let HostConfig {
        root,
        host_secret,
        socket_dir,
        admin_group,
        state_dir,
        guard,
        programs,
    } = config;
    // Its memory holds the keys: no process of the same user may look into it.
    nix::sys::prctl::set_dumpable(false).map_err(HostError::system("become undumpable"))?;
    let lock = StateLock::new(state_dir.as_deref());
    lock.take().map_err(HostError::State)?;
    let guard = HostGuard::new(guard)?;
    let keys = Hidden::new(|| HostKeys::derive(&host_secret, guard.subprincipal()))?;
    drop(host_secret);
    let identity = Arc::new(Identity::new(root, keys, guard.subprincipal())?);
    log::info!("Tao host: {}", identity.name());
    let keys = &identity.keys;
    if let Some(said) = of_memory(
        hibernation::is_allowed(),
        keys.is_secret(),
        keys.is_locked(),
    ) {
        log::info!("{said}");
    }
    if identity.with_anchor(|anchor| anchor.is_none()) {
        log::warn!("the Tao host's counters have no anchor: a restored disk is not noticed");
    }
    let listener = Listener::bind(&socket_dir, admin_group)?;
    let places = Places {
        state: state_dir.clone(),
        lock: lock.clone(),
        socket: listener.path().to_owned(),
        devices: programs.devices.clone(),
    };
    let spawner =
        Spawner::new(programs, places).map_err(HostError::system("prepare to start programs"))?;
    let table = TableFile::new(state_dir, lock.clone());
    let counters = Arc::new(CounterStore::new(Arc::clone(&identity), table));
    let service = TaoService::new(Arc::clone(&identity), Arc::clone(&counters));
    let host = Arc::new(Host {
        identity,
        guard,
        counters,
        service: Arc::new(service),
        spawner: Arc::new(spawner),
        programs: Arc::default(),
        measuring: Arc::default(),
        reactor: Arc::new(Reactor::new()?),
        socket_dir,
        stopping: AtomicBool::new(false),
    });
    Door::open(listener, &host)?;
    let ended = work(&host);
    // What is left of the connections holds parts of the host.
    host.reactor.close();
    lock.release();
    ended
}

/// What an administrator should know of the memory that the keys got; nothing where it is secret.
const fn of_memory(may_hibernate: bool, is_secret: bool, is_locked: bool) -> Option<&'static str> {
    match (may_hibernate, is_secret, is_locked) {
        (_, true, _) => None,
        (true, false, true) => Some(
            "the Tao host's keys are in locked memory, and in a hibernation image: the configuration allows hibernation",
        ),
        (true, false, false) => Some(
            "the Tao host's keys are in ordinary memory, which may be swapped out, and in a hibernation image: the configuration allows hibernation, and the kernel did not lock memory for them",
        ),
        (false, false, _) => Some(
            "the Tao host's keys are in ordinary memory: this kernel has no memfd_secret, or it is off (secretmem.enable=1)",
        ),
    }
}

/// Works until the host is shut down.
fn work(host: &Host) -> Result<(), HostError> {
    let mut workers = host.reactor.start_others()?;
    workers.push(host.counters.start()?);
    measuring::start(&host.measuring)?;
    host.reactor.work();
    host.measuring.close();
    host.counters.close();
    for worker in workers {
        if worker.join().is_err() {
            log::error!("a thread of the Tao host panicked");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::of_memory;

    #[test]
    fn the_log_says_that_keys_are_locked_only_where_they_are() {
        let locked = "in locked memory";
        assert!(of_memory(true, false, true).unwrap().contains(locked));
        for may_hibernate in [true, false] {
            let said = of_memory(may_hibernate, false, false).unwrap();
            assert!(said.contains("in ordinary memory"), "{said}");
            assert!(!said.contains(locked), "{said}");
            assert_eq!(of_memory(may_hibernate, true, false), None);
        }
    }
}
