//! What the hosted program does: it makes the calls that it is told to on standard input, one
//! turn for each line, and says on standard output what a call took.

use std::{
    io::Write as _,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tao::{
    client::{Parent, SealPolicy},
    keys::SignatureFormat,
    logic::{Form, Pred},
    wire::{
        messages::{RequestHeader, TaoRequest, TaoResponse},
        rpc,
    },
};

use crate::clock::turn;

/// Callers at once.
pub const CALLERS: u32 = 64;
/// How long sealing against rollback is measured in one turn: a call waits for the disk.
const LONG_TURN: Duration = Duration::from_millis(200);

/// How long, and how many calls at least, the worst of them is looked for.
const LONG: Duration = Duration::from_secs(5);
const FEWEST: usize = 500;
const BETWEEN: Duration = Duration::from_millis(1);

/// Some statement.
pub fn statement() -> anyhow::Result<Form> {
    Ok(Form::Pred(Pred {
        name: "Ready".parse()?,
        args: Vec::new(),
    }))
}

/// Makes calls until there are no more lines.
pub fn serve() -> anyhow::Result<()> {
    let host = Parent::from_env()?;
    let calls = Calls::prepare(host)?;
    for line in std::io::stdin().lines() {
        let line = line?;
        println!("{}", calls.perform(&line).with_context(|| line.clone())?);
        std::io::stdout().flush()?;
    }
    Ok(())
}

struct Calls {
    host: &'static Parent,
    form: Form,
    small: Vec<u8>,
    large: Vec<u8>,
    sealed_small: Vec<u8>,
    sealed_large: Vec<u8>,
}

impl Calls {
    fn prepare(host: &'static Parent) -> anyhow::Result<Self> {
        let (small, large) = (vec![7; 32], vec![7; 65_536]);
        Ok(Self {
            form: statement()?,
            sealed_small: host.seal(&small, SealPolicy::Own)?,
            sealed_large: host.seal(&large, SealPolicy::Own)?,
            host,
            small,
            large,
        })
    }

    /// The answer to one line.
    fn perform(&self, line: &str) -> anyhow::Result<String> {
        let host = self.host;
        let microseconds = match line {
            "name" => turn(|| Ok(host.tao_name()?)),
            "random" => turn(|| Ok(host.random_bytes(32)?)),
            "seal" => turn(|| Ok(host.seal(&self.small, SealPolicy::Own)?)),
            "unseal" => turn(|| Ok(host.unseal(&self.sealed_small)?)),
            "seal 64k" => turn(|| Ok(host.seal(&self.large, SealPolicy::Own)?)),
            "unseal 64k" => turn(|| Ok(host.unseal(&self.sealed_large)?)),
            "attest" => turn(|| self.attest()),
            "rollback" => self.rollback(1),
            "rollback 64" => self.rollback(CALLERS),
            "name p99" => self.worst(),
            "attestation" => return Ok(hex::encode(self.attest()?)),
            _ => {
                let (ask, answer) = self.lengths(line)?;
                return Ok(format!("{ask} {answer}"));
            }
        };
        Ok(microseconds?.to_string())
    }

    /// Microseconds within which 99 of a hundred calls are answered, one after the other.
    fn worst(&self) -> anyhow::Result<f64> {
        let started = Instant::now();
        let mut each = Vec::new();
        while started.elapsed() < LONG || each.len() < FEWEST {
            let call = Instant::now();
            self.host.tao_name()?;
            each.push(call.elapsed().as_secs_f64() * 1e6);
            // As a program that does something in between.
            std::thread::sleep(BETWEEN);
        }
        each.sort_by(f64::total_cmp);
        let place = each.len() * 99 / 100;
        each.get(place).copied().context("no calls")
    }

    fn attest(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self
            .host
            .attest_as(SignatureFormat::Original, None, None, None, &self.form)?)
    }

    /// Microseconds of a rollback-protected seal, with so many callers at once.
    fn rollback(&self, callers: u32) -> anyhow::Result<f64> {
        let (done, over) = (AtomicU32::new(0), AtomicBool::new(false));
        let caller = |number: u32| -> anyhow::Result<()> {
            let label = format!("caller {number}");
            while !over.load(Ordering::Relaxed) {
                self.host
                    .rollback_protected_seal(&label, b"x", SealPolicy::Own)?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let mut elapsed = 0.0;
        std::thread::scope(|scope| {
            let started = Instant::now();
            let threads: Vec<_> = (0..callers)
                .map(|number| scope.spawn(move || caller(number)))
                .collect();
            std::thread::sleep(LONG_TURN);
            over.store(true, Ordering::Relaxed);
            for thread in threads {
                thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("a caller panicked"))??;
            }
            elapsed = started.elapsed().as_secs_f64();
            anyhow::Ok(())
        })?;
        Ok(elapsed * 1e6 / f64::from(done.load(Ordering::Relaxed)))
    }

    /// How long request and answer of a call are, frames and headers included: `lengths CALL`.
    fn lengths(&self, line: &str) -> anyhow::Result<(usize, usize)> {
        let call = line.strip_prefix("lengths ").context("no such call")?;
        let own = || Some(SealPolicy::Own.as_str().to_owned());
        let request = |data: Option<Vec<u8>>, policy: Option<String>| TaoRequest {
            data,
            policy,
            ..TaoRequest::default()
        };
        let (small, large) = (self.small.clone(), self.large.clone());
        let (sealed_small, sealed_large) = (self.sealed_small.clone(), self.sealed_large.clone());
        let (op, request, data, policy) = match call {
            "name" => (
                "GetTaoName",
                request(None, None),
                self.host.tao_name()?.encode(),
                None,
            ),
            "random" => {
                let size = Some(32);
                let request = TaoRequest {
                    size,
                    ..TaoRequest::default()
                };
                ("GetRandomBytes", request, small, None)
            }
            "seal" => ("Seal", request(Some(small), own()), sealed_small, None),
            "unseal" => ("Unseal", request(Some(sealed_small), None), small, own()),
            "seal 64k" => ("Seal", request(Some(large), own()), sealed_large, None),
            "unseal 64k" => ("Unseal", request(Some(sealed_large), None), large, own()),
            "attest" => {
                let form = Some(self.form.encode());
                ("Attest", request(form, None), self.attest()?, None)
            }
            _ => anyhow::bail!("no such call"),
        };
        // In the middle of a turn the sequence number takes two bytes.
        let header = RequestHeader {
            op: format!("Tao.{op}"),
            seq: 5000,
        };
        let (mut ask, mut answer) = (Vec::new(), Vec::new());
        rpc::write_request(&mut ask, &header.op, header.seq, &request)?;
        let data = Some(data);
        let response = TaoResponse {
            data,
            policy,
            ..TaoResponse::default()
        };
        rpc::write_response(&mut answer, header, &response);
        Ok((ask.len(), answer.len()))
    }
}
