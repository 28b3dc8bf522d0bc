//! Headers: names and values, compressed with one zlib stream per direction that begins with SPDY's dictionary.

use bytes::{Buf as _, BufMut as _, Bytes};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::Error;

/// Names and values in the order sent. Names are in lower case.
pub type Headers = Vec<(String, String)>;

/// Bytes that the headers of one frame may have once decompressed.
pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// Bytes that are made room for at a time.
const ROOM_BYTES: usize = 4 << 10;

/// The first value of a header; empty if there is none.
#[must_use]
pub fn value<'a>(headers: &'a Headers, name: &str) -> &'a str {
    headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
}

/// Writes the headers of a connection, in order.
#[derive(Debug)]
pub struct Compressor(Compress);

impl Compressor {
    /// At the beginning of a connection.
    ///
    /// # Errors
    /// If zlib takes no dictionary.
    pub fn new() -> Result<Self, Error> {
        let mut deflate = Compress::new(Compression::fast(), true);
        deflate.set_dictionary(&dictionary()).map_err(|_| Error::Headers("no dictionary"))?;
        Ok(Self(deflate))
    }

    /// Compresses the headers of the next frame.
    ///
    /// # Errors
    /// If zlib fails.
    pub fn write(&mut self, headers: &Headers) -> Result<Bytes, Error> {
        let mut plain = Vec::new();
        let count = |length: usize| u32::try_from(length).map_err(|_| Error::Headers("too many"));
        plain.put_u32(count(headers.len())?);
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.put_u32(count(text.len())?);
            plain.put_slice(text.as_bytes());
        }
        let (mut plain, mut packed) = (plain.as_slice(), Vec::new());
        loop {
            packed.reserve(ROOM_BYTES);
            let before = self.0.total_in();
            let failed = |_| Error::Headers("cannot be compressed");
            self.0.compress_vec(plain, &mut packed, FlushCompress::Sync).map_err(failed)?;
            plain.advance(taken(before, self.0.total_in()));
            if plain.is_empty() && packed.len() < packed.capacity() {
                return Ok(packed.into());
            }
        }
    }
}

/// Reads the headers of a connection, in order.
#[derive(Debug)]
pub struct Decompressor(Decompress);

impl Default for Decompressor {
    fn default() -> Self {
        Self(Decompress::new(true))
    }
}

impl Decompressor {
    /// Reads the headers of the next frame.
    ///
    /// # Errors
    /// If they are malformed, or too long. Then no later ones can be read either.
    pub fn read(&mut self, packed: &[u8]) -> Result<Headers, Error> {
        parse(&self.unpack(packed)?).ok_or(Error::Headers("names and values do not fit"))
    }

    fn unpack(&mut self, mut packed: &[u8]) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::new();
        loop {
            plain.reserve(ROOM_BYTES);
            let (before, held) = (self.0.total_in(), plain.len());
            let done = self.0.decompress_vec(packed, &mut plain, FlushDecompress::Sync);
            packed.advance(taken(before, self.0.total_in()));
            match done {
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&dictionary()).map_err(|_| Error::Headers("another dictionary"))?;
                    continue;
                }
                Err(_) => return Err(Error::Headers("cannot be decompressed")),
                Ok(_) if plain.len() > HEADER_BYTES_MAX => return Err(Error::Headers("too long")),
                Ok(_) => {}
            }
            let is_stuck = taken(before, self.0.total_in()) == 0 && plain.len() == held;
            if is_stuck || packed.is_empty() && plain.len() < plain.capacity() {
                return Ok(plain);
            }
        }
    }
}

fn taken(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

/// Several values of one name stand behind each other with a zero byte between them.
fn parse(mut plain: &[u8]) -> Option<Headers> {
    let count = plain.try_get_u32().ok()?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = text(&mut plain)?.to_ascii_lowercase();
        headers.extend(text(&mut plain)?.split('\0').map(|value| (name.clone(), value.to_owned())));
    }
    Some(headers)
}

fn text<'a>(plain: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(plain.try_get_u32().ok()?).ok()?;
    let (text, rest) = plain.split_at_checked(length)?;
    *plain = rest;
    std::str::from_utf8(text).ok()
}

/// What both sides know before the first header: words with their lengths in front, then text.
fn dictionary() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1423);
    for word in WORDS.split(',') {
        bytes.put_u32(u32::try_from(word.len()).unwrap_or_default());
        bytes.put_slice(word.as_bytes());
    }
    bytes.put_slice(TEXT.as_bytes());
    bytes
}

const WORDS: &str = "options,head,post,put,delete,trace,accept,accept-charset,accept-encoding,accept-language,\
accept-ranges,age,allow,authorization,cache-control,connection,content-base,content-encoding,content-language,\
content-length,content-location,content-md5,content-range,content-type,date,etag,expect,expires,from,host,if-match,\
if-modified-since,if-none-match,if-range,if-unmodified-since,last-modified,location,max-forwards,pragma,\
proxy-authenticate,proxy-authorization,range,referer,retry-after,server,te,trailer,transfer-encoding,upgrade,user-agent,\
vary,via,warning,www-authenticate,method,get,status,200 OK,version,HTTP/1.1,url,public,set-cookie,keep-alive,origin";

const TEXT: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden\
404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept \
Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,\
application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch\
charset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn headers_are_read_as_they_were_written(sent in vec(vec(("[a-z-]{1,20}", "[ -~]{0,200}"), 0..8), 0..5)) {
            let (mut compressor, mut decompressor) = (Compressor::new().unwrap(), Decompressor::default());
            for headers in sent {
                let packed = compressor.write(&headers).unwrap();
                prop_assert_eq!(decompressor.read(&packed).unwrap(), headers);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..100)) {
            let _headers_or_error = parse(&bytes);
            let _headers_or_error = Decompressor::default().read(&bytes);
            // After a good beginning.
            let (mut compressor, mut decompressor) = (Compressor::new().unwrap(), Decompressor::default());
            decompressor.read(&compressor.write(&Vec::new()).unwrap()).unwrap();
            let _headers_or_error = decompressor.read(&bytes);
        }
    }

    #[test]
    fn the_dictionary_is_the_one_of_the_draft() {
        let mut deflate = Compress::new(Compression::fast(), true);
        // Its Adler-32 checksum, which begins every compressed stream.
        assert_eq!(deflate.set_dictionary(&dictionary()).unwrap(), 0xe3c6_a7c2);
        assert_eq!(dictionary().len(), 1423);
    }

    #[test]
    fn long_headers_and_several_values() {
        let value = |length| "x".repeat(length);
        let (mut compressor, mut decompressor) = (Compressor::new().unwrap(), Decompressor::default());
        let mut check = |value: String| {
            let packed = compressor.write(&vec![("name".to_owned(), value)]).unwrap();
            decompressor.read(&packed)
        };
        assert_eq!(check(value(50_000)).unwrap()[0].1.len(), 50_000);
        assert_eq!(check("a\0b".to_owned()).unwrap().len(), 2);
        assert!(check(value(10 * HEADER_BYTES_MAX)).is_err());
    }
}
