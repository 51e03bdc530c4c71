//! The rows of a push: a thousand a request, half of them new, a quarter changed and a quarter as they were.
//!
//! Rows come in blocks of five hundred, and a block has a number that is given once. A request brings one block for the first
//! time and sends the block before it of its connection again, every second row with twice the lots. Ours and the
//! reference read the same rows. Invariant: what all of them come to is a matter of how many blocks were sent
//! ([`Sent`]), so it can be checked afterwards.

use headwater_domain::time::Instant;
use std::fmt::Write as _;

/// Records of one request.
pub const RECORDS: u64 = 1000;
/// Rows of one block.
const BLOCK_ROWS: u64 = RECORDS / 2;
/// Clients of the bench's broker.
pub const CUSTOMERS: u64 = 1000;
/// Instruments that a client trades on one day; each has a rate of its own in the plan.
pub const INSTRUMENTS: [&str; 4] = ["EURUSD", "GBPUSD", "XAUUSD", "US500"];
/// Countries that clients come from; each has a rate of its own where no instrument is named.
pub const COUNTRIES: [&str; 4] = ["DE", "ES", "PT", "BR"];
/// 1 January 2024, in days since 1970.
const DAY_FIRST: i64 = 19_723;
const DAY_SECONDS: i64 = 86_400;

/// What is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Rows {
    /// Trading days of the forex API: four instruments of a client on a day.
    TradingDays,
    /// Activities of the brand dialect: one daily row of a client, without an instrument.
    Activities,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Which block it is of: the block has the day.
    pub block: u64,
    /// Below [`CUSTOMERS`].
    pub customer: u64,
    pub instrument: &'static str,
    pub lots: u32,
    /// Tells rows apart in what is not priced.
    number: u64,
}

/// How much was sent in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    pub requests: u64,
    /// Blocks that were sent for the first time as if they came again, at the start of each connection.
    pub starts: u64,
}

impl Rows {
    /// Rows of one client on one day.
    fn per_day(self) -> u64 {
        match self {
            Self::TradingDays => INSTRUMENTS.len() as u64,
            Self::Activities => 1,
        }
    }

    /// The day of a block, as `2024-01-01`.
    pub fn day(self, block: u64) -> String {
        let groups = CUSTOMERS * self.per_day() / BLOCK_ROWS;
        let day = DAY_FIRST + i64::try_from(block / groups).expect("fewer blocks than a calendar has days");
        let mut text = Instant(0).plus_seconds(day * DAY_SECONDS).iso8601();
        text.truncate("2024-01-01".len());
        text
    }

    fn row(self, block: u64, index: u64, changed: bool) -> Row {
        let per_day = self.per_day();
        let customers_of_block = BLOCK_ROWS / per_day;
        let groups = CUSTOMERS / customers_of_block;
        let place = usize::try_from(index % per_day).expect("a few");
        Row {
            block,
            customer: (block % groups) * customers_of_block + index / per_day,
            instrument: INSTRUMENTS[place],
            lots: if changed && index.is_multiple_of(2) { 2 } else { 1 },
            number: block * BLOCK_ROWS + index,
        }
    }

    /// The rows of a request: a block that comes again, and one that is new.
    pub fn request(self, again: u64, new: u64) -> impl Iterator<Item = Row> {
        let of = move |block, changed| (0..BLOCK_ROWS).map(move |index| self.row(block, index, changed));
        of(again, true).chain(of(new, false))
    }

    /// Writes a request's body.
    pub fn write(self, again: u64, new: u64, body: &mut String) {
        body.clear();
        body.push('[');
        let days = [self.day(again), self.day(new)];
        for (at, row) in self.request(again, new).enumerate() {
            if at > 0 {
                body.push(',');
            }
            row.write(self, &days[usize::from(row.block == new)], body);
        }
        body.push(']');
    }
}

impl Row {
    /// Cents that make rows differ, below 100.
    pub fn cents(&self) -> u64 {
        self.number % 100
    }

    /// Whole units that make rows differ.
    pub fn units(&self) -> u64 {
        100 + self.number % 900
    }

    fn write(&self, rows: Rows, day: &str, body: &mut String) {
        let Self { customer, instrument, lots, .. } = self;
        let (units, cents) = (self.units(), self.cents());
        let _ = match rows {
            Rows::TradingDays => write!(
                body,
                r#"{{"date":"{day}","customer_id":"c{customer}","instrument":"{instrument}","lots_traded":{lots}.00,"volume_usd":{units}000.{cents:02},"spread_cost":{units}.{cents:02},"commission":6.{cents:02},"pnl":-{units}.{cents:02},"currency":"USD"}}"#
            ),
            Rows::Activities => write!(
                body,
                r#"{{"eventname":"DailyStats","createtime":"{day}","customerid":"c{customer}","Lots":"{lots}.00","Volume":"{units}000.{cents:02}","Trades":"{units}","Currency":"USD"}}"#
            ),
        };
    }
}

impl Sent {
    /// Rows that are there then.
    pub fn rows(self) -> u64 {
        BLOCK_ROWS * (self.requests + self.starts)
    }

    /// Their lots: all that came again are one and a half on average, and the last of each connection did not.
    pub fn lots(self) -> u64 {
        BLOCK_ROWS / 2 * 3 * self.requests + BLOCK_ROWS * self.starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_was_sent_comes_to_what_is_claimed() {
        for rows in [Rows::TradingDays, Rows::Activities] {
            let mut kept = BTreeMap::new();
            let mut sent = Sent { requests: 0, starts: 2 };
            // Two connections, each with its own block before the first.
            for (again, new) in [(0, 2), (1, 3), (2, 4), (4, 5), (3, 6)] {
                let mut in_request = 0;
                for row in rows.request(again, new) {
                    in_request += 1;
                    kept.insert(
                        (rows.day(row.block), row.customer, (rows == Rows::TradingDays).then_some(row.instrument)),
                        row.lots,
                    );
                }
                assert_eq!(in_request, RECORDS);
                sent.requests += 1;
            }
            assert_eq!(kept.len() as u64, sent.rows());
            assert_eq!(kept.values().map(|lots| u64::from(*lots)).sum::<u64>(), sent.lots());
        }
    }

    #[test]
    fn a_body_is_an_array_of_a_thousand_records() {
        for rows in [Rows::TradingDays, Rows::Activities] {
            let mut body = String::new();
            rows.write(7, 8, &mut body);
            let records: Vec<serde_json::Value> = serde_json::from_str(&body).expect("JSON");
            assert_eq!(records.len() as u64, RECORDS);
        }
    }
}
