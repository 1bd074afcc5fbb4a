//! Sums over clusters and dies. NOT: what is summed.

use super::{Lowering, Partial, Residual};
use crate::cache::BlockId;
use crate::graph::{ActionId, VectorWork, Why, Work};

impl Lowering<'_> {
    /// Adds the clusters' partial sums and the residual within each die, then the dies' sums
    /// around the ring. Returns the new residual stream and the actions that end it.
    pub(super) fn all_reduce(
        &mut self,
        names: [&'static str; 2],
        rows: u64,
        partials: &[Option<Partial>],
        residual: &Residual,
    ) -> (Residual, Vec<ActionId>) {
        let [name, ring_name] = names;
        self.builder.begin_operation(name);
        let hidden = self.model.hidden;
        let (whole, block) = (self.bytes(rows * hidden), self.activation());
        let joins: Vec<_> = (0..self.hardware.dies)
            .map(|die| {
                let of_die = partials[self.hardware.clusters_of(die)].iter().flatten();
                let stores = of_die.flat_map(|partial| partial.stores.iter().copied());
                self.builder.join(stores)
            })
            .collect();
        let mut stores = vec![Vec::new(); self.hardware.dies];
        for (die, cluster, part) in self.row_parts(rows) {
            let contributors = self.hardware.clusters_of(die);
            if partials[contributors.clone()].iter().all(Option::is_none) {
                continue;
            }
            let bytes = self.bytes(part * hidden);
            let mut loads = Vec::new();
            for (local, partial) in partials[contributors].iter().enumerate() {
                let Some(partial) = partial else { continue };
                let label = format!("load {name}# c{local}");
                loads.push(self.load(&label, cluster, bytes, partial.block, whole));
                self.builder.wait(joins[die], Why::Order);
                if let Some(&last) = partial.stores.last() {
                    self.builder.wait(last, Why::Data);
                }
            }
            // One die adds the residual; added by each, the ring would sum it several times.
            if die == 0 {
                let label = format!("load {name}# residual");
                loads.push(self.load(&label, cluster, bytes, residual.block, whole));
                self.builder.wait(residual.ready[die].0, Why::Order);
                self.builder.wait(joins[die], Why::Order);
            }
            let parts = u8::try_from(loads.len()).unwrap_or(u8::MAX);
            let kind = VectorWork::Reduce(parts);
            let sum = self.vector(name, cluster, kind, part * hidden, &loads);
            let label = format!("store {name}");
            stores[die].push(self.store(&label, cluster, bytes, block, whole, sum));
        }
        self.ring(ring_name, whole, block, &stores, residual)
    }

    /// Ring all-reduce: every die sends a part to the next, which adds it, until all parts are
    /// summed; as many steps again hand the sums round.
    pub(super) fn ring(
        &mut self,
        name: &'static str,
        bytes: u64,
        block: BlockId,
        stores: &[Vec<ActionId>],
        before: &Residual,
    ) -> (Residual, Vec<ActionId>) {
        let dies = self.hardware.dies;
        let joins: Vec<_> = (0..dies)
            .map(|die| {
                let ready = before.ready[die].0;
                self.builder.join(stores[die].iter().copied().chain([ready]))
            })
            .collect();
        if dies == 1 {
            let ready = vec![(joins[0], Why::Order)];
            return (Residual { block, ready }, stores[0].clone());
        }
        self.builder.begin_operation(name);
        let part = bytes.div_ceil(dies as u64);
        let mut last: Vec<ActionId> = Vec::new();
        for step in 0..2 * (dies - 1) {
            let sent: Vec<_> = (0..dies)
                .map(|die| {
                    let label = self.label(&format!("{name}# s{step}"));
                    let send = self.builder.push(Work::Ring { bytes: part }, die, label);
                    if step == 0 {
                        for &store in &stores[die] {
                            self.builder.wait(store, Why::Data);
                        }
                        self.builder.wait(joins[die], Why::Order);
                        self.builder.wait(joins[(die + 1) % dies], Why::Order);
                    } else {
                        self.builder.wait(last[(die + dies - 1) % dies], Why::Data);
                    }
                    send
                })
                .collect();
            last = sent;
        }
        let ready = (0..dies).map(|die| (last[(die + dies - 1) % dies], Why::Data)).collect();
        (Residual { block, ready }, last)
    }
}
