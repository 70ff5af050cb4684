//! What a value of a column stands for.

use super::super::source::Cell;
use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use ::parquet::schema::types::ColumnDescriptor;
use jiff::civil::date;
use jiff::{Span, Timestamp};

/// What a value stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Itself: a number, a truth value or text.
    Itself,
    /// A number from 0 on.
    Unsigned,
    /// This many units of a second since 1970.
    Moment(i64),
    /// Days since 1970.
    Date,
    /// A number with this many decimal places.
    Decimal(i32),
    /// 16 bytes.
    Uuid,
    /// Nothing that a log holds.
    Other,
}

impl Meaning {
    pub(super) fn of(column: &ColumnDescriptor) -> Self {
        match column.logical_type_ref() {
            Some(LogicalType::Timestamp(t)) => Self::Moment(match t.unit {
                TimeUnit::MILLIS => 1_000,
                TimeUnit::MICROS => 1_000_000,
                TimeUnit::NANOS => 1_000_000_000,
            }),
            Some(LogicalType::Uuid) => Self::Uuid,
            Some(LogicalType::Float16) => Self::Other,
            // What has no older name than these is bytes.
            _ => match column.converted_type() {
                ConvertedType::TIMESTAMP_MILLIS => Self::Moment(1_000),
                ConvertedType::TIMESTAMP_MICROS => Self::Moment(1_000_000),
                ConvertedType::DATE => Self::Date,
                ConvertedType::DECIMAL => Self::Decimal(column.type_scale()),
                ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
                    Self::Unsigned
                }
                ConvertedType::TIME_MILLIS
                | ConvertedType::TIME_MICROS
                | ConvertedType::BSON
                | ConvertedType::INTERVAL => Self::Other,
                ConvertedType::NONE if column.physical_type() == Type::FIXED_LEN_BYTE_ARRAY => Self::Other,
                _ => Self::Itself,
            },
        }
    }

    pub(super) fn int32(self, value: i32) -> Cell {
        match self {
            Self::Unsigned => Cell::Text(value.cast_unsigned().to_string()),
            _ => self.integer(i64::from(value)),
        }
    }

    pub(super) fn integer(self, value: i64) -> Cell {
        let text = match self {
            Self::Itself => Some(value.to_string()),
            Self::Unsigned => Some(value.cast_unsigned().to_string()),
            Self::Moment(units) => moment(value, units).map(|t| t.to_string()),
            Self::Date => {
                let span = Span::new().try_days(value).ok();
                span.and_then(|days| date(1970, 1, 1).checked_add(days).ok()).map(|d| d.to_string())
            }
            Self::Decimal(scale) => Some(decimal(i128::from(value), scale)),
            Self::Uuid | Self::Other => None,
        };
        text.map_or(Cell::NotAValue, Cell::Text)
    }

    pub(super) fn bytes(self, value: &[u8]) -> Cell {
        match self {
            Self::Itself => Cell::of_bytes(value),
            Self::Uuid => <[u8; 16]>::try_from(value).map_or(Cell::NotAValue, |b| Cell::Text(uuid(b))),
            Self::Decimal(scale) => {
                // Big-endian two's complement of any length: the sign fills what is not there.
                let Some(fill) = 16_usize.checked_sub(value.len()) else { return Cell::NotAValue };
                let mut wide = [if value.first().is_some_and(|b| *b >= 0x80) { 0xff } else { 0 }; 16];
                wide[fill..].copy_from_slice(value);
                Cell::Text(decimal(i128::from_be_bytes(wide), scale))
            }
            _ => Cell::NotAValue,
        }
    }
}

fn moment(value: i64, units: i64) -> Option<Timestamp> {
    let nanos = 1_000_000_000 / i128::from(units) * i128::from(value);
    Timestamp::from_nanosecond(nanos).ok()
}

#[expect(clippy::cast_precision_loss, reason = "rewards and propensities are doubles")]
fn decimal(value: i128, scale: i32) -> String {
    (value as f64 / 10_f64.powi(scale)).to_string()
}

/// As text has it: `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
fn uuid(bytes: [u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Cell {
        Cell::Text(text.into())
    }

    #[test]
    fn values_read_as_people_write_them() {
        assert_eq!(Meaning::Moment(1_000_000).integer(1_574_553_663_979_311), text("2019-11-24T00:01:03.979311Z"));
        assert_eq!(Meaning::Moment(1_000).integer(-1), text("1969-12-31T23:59:59.999Z"));
        assert_eq!(Meaning::Moment(1_000).integer(i64::MAX), Cell::NotAValue);
        assert_eq!(Meaning::Date.integer(18_224), text("2019-11-24"));
        assert_eq!(Meaning::Date.integer(i64::MIN), Cell::NotAValue);
        assert_eq!(Meaning::Unsigned.int32(-1), text("4294967295"));
        assert_eq!(Meaning::Decimal(2).integer(1_250), text("12.5"));
        assert_eq!(Meaning::Decimal(2).bytes(&[0xff, 0x9c]), text("-1"));
        assert_eq!(Meaning::Decimal(2).bytes(&[0; 17]), Cell::NotAValue);
        assert_eq!(Meaning::Uuid.bytes(&[0xab; 16]), text("abababab-abab-abab-abab-abababababab"));
        assert_eq!(Meaning::Itself.bytes(&[0xff]), Cell::NotUtf8);
    }
}
