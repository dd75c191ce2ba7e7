//! What keeps a program apart from the machine, the host and the other programs.

pub(crate) mod allowed_calls;
pub(crate) mod capabilities;
pub(crate) mod cgroup;
pub(crate) mod cgroup_mount;
pub(crate) mod confinements;
pub(crate) mod hiding;
pub(crate) mod landlock;
pub(crate) mod loopback;
pub(crate) mod mount_calls;
pub(crate) mod mounts;
pub(crate) mod numbers;
pub(crate) mod own_directory;
pub(crate) mod places;
pub(crate) mod processes;
pub(crate) mod removal;
pub(crate) mod seccomp;
pub(crate) mod settings;
pub(crate) mod started;
pub(crate) mod user_table;
pub(crate) mod users;
