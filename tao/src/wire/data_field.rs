//! The data of a message, read and written where they are: they may be large, and each copy of
//! them costs as much as reading them from the channel.

use prost::{Message, encoding};

use super::proto2::Fields;

/// Number of the data in requests and answers of the Tao.
pub const DATA: u32 = 1;

/// Takes a field of bytes out of a message: the field, and all others. `None` if the message
/// cannot be taken apart.
pub fn split(message: &[u8], number: u32) -> Option<(Option<&[u8]>, Vec<u8>)> {
    let (mut data, mut rest) = (None, Vec::new());
    for field in Fields::of(message) {
        let field = field.ok()?;
        // Of several the last one counts.
        match field.is_bytes && field.number == number {
            true => data = Some(field.bytes),
            false => rest.extend_from_slice(field.whole),
        }
    }
    Some((data, rest))
}

/// Length of a field of so many bytes, with its number and length in front.
pub fn length(number: u32, data: usize) -> usize {
    encoding::key_len(number)
        .saturating_add(encoding::encoded_len_varint(data as u64))
        .saturating_add(data)
}

/// Appends what stands in front of a field of so many bytes.
pub fn begin(out: &mut Vec<u8>, number: u32, data: usize) {
    encoding::encode_key(number, encoding::WireType::LengthDelimited, out);
    encoding::encode_varint(data as u64, out);
}

/// Length of a message with data and `rest`, whose own data field is empty.
pub fn message_length(data: Option<usize>, rest: &impl Message) -> usize {
    data.map_or(0, |data| length(DATA, data))
        .saturating_add(rest.encoded_len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::TaoRequest;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_message_taken_apart_is_the_same_message(
            data: Option<Vec<u8>>, size: Option<i32>, policy: Option<String>, time: Option<i64>,
        ) {
            let message = TaoRequest { data, size, policy, time, ..TaoRequest::default() };
            let bytes = message.encode_to_vec();
            let (data, rest) = split(&bytes, DATA).unwrap();
            let mut read = TaoRequest::decode(rest.as_slice()).unwrap();
            prop_assert!(read.data.is_none());
            prop_assert_eq!(bytes.len(), message_length(data.map(<[u8]>::len), &read));
            let mut again = Vec::new();
            if let Some(data) = data {
                begin(&mut again, DATA, data.len());
                again.extend_from_slice(data);
            }
            read.encode_raw(&mut again);
            prop_assert_eq!(&again, &bytes);
            read.data = data.map(<[u8]>::to_vec);
            prop_assert_eq!(read, message);
        }

        #[test]
        fn what_is_taken_apart_reads_as_it_would_as_a_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..60)
        ) {
            let whole = TaoRequest::decode(bytes.as_slice());
            if let (Some((data, rest)), Ok(whole)) = (split(&bytes, DATA), whole) {
                let mut read = TaoRequest::decode(rest.as_slice()).unwrap();
                prop_assert!(read.data.is_none());
                read.data = data.map(<[u8]>::to_vec);
                prop_assert_eq!(read, whole);
            }
        }
    }

    #[test]
    fn a_number_in_the_datas_place_is_not_data() {
        let (data, rest) = split(&[8, 5], DATA).unwrap();
        assert!(data.is_none() && TaoRequest::decode(rest.as_slice()).is_err());
    }
}
