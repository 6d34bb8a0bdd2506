//! Follows the bytes of a connection from request to request, and sees what must not reach a parser.
//!
//! Two parsers that disagree about where a request ends let one request hide in another (RFC 9112 §11.2). So whatever
//! leaves room for that is refused here, though HTTP would allow to read it in one way: a length beside chunks, a
//! length that stands twice, chunks that are not the only coding.

/// More header lines than one request may have.
pub const MOST_HEADERS: usize = 100;

/// What is wrong with a request before it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    TooLarge,
    /// It says in two ways, or in none that counts, how long it is.
    Length(&'static str),
}

/// Where in a request the next byte belongs.
#[derive(Debug)]
enum Place {
    /// Request line and headers so far.
    Head(Vec<u8>),
    Body(u64),
    ChunkSize(Vec<u8>),
    Chunk(u64),
    /// The line break behind a chunk.
    ChunkEnd,
    /// Lines behind the last chunk; the bytes of the present one, and of all.
    Trailers {
        line: usize,
        all: usize,
    },
    /// Nothing that we follow: whoever reads it refuses it.
    Lost,
}

/// Follows one connection.
#[derive(Debug)]
pub struct Framing {
    place: Place,
    most: usize,
}

impl Framing {
    /// `most` bytes are allowed for a request line with its headers.
    pub fn new(most: usize) -> Framing {
        Framing { place: Place::Head(Vec::new()), most }
    }

    /// Whether the next byte belongs to a head, and how much of it is there.
    pub fn in_head(&self) -> Option<usize> {
        match &self.place {
            Place::Head(head) => Some(head.len()),
            _ => None,
        }
    }

    /// # Errors
    /// What must not go on.
    pub fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let taken = self.step(bytes)?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    fn step(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let most = self.most;
        match &mut self.place {
            Place::Head(head) => {
                let taken = extend_head(head, bytes);
                if head.len() > most {
                    return Err(Fault::TooLarge);
                }
                if is_whole(head) {
                    self.place = after(head)?;
                }
                Ok(taken)
            }
            Place::Body(left) => {
                let taken = within(*left, bytes);
                *left -= taken as u64;
                if *left == 0 {
                    self.place = Place::Head(Vec::new());
                }
                Ok(taken)
            }
            Place::Lost => Ok(bytes.len()),
            _ => self.chunked(bytes),
        }
    }

    fn chunked(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let most = self.most;
        match &mut self.place {
            Place::ChunkSize(line) => {
                let end = bytes.iter().position(|byte| *byte == b'\n');
                let taken = end.map_or(bytes.len(), |end| end + 1);
                line.extend_from_slice(&bytes[..taken]);
                if line.len() > most {
                    return Err(Fault::TooLarge);
                }
                if end.is_some() {
                    self.place = match chunk_size(line) {
                        Some(0) => Place::Trailers { line: 0, all: 0 },
                        Some(size) => Place::Chunk(size),
                        None => Place::Lost,
                    };
                }
                Ok(taken)
            }
            Place::Chunk(left) => {
                let taken = within(*left, bytes);
                *left -= taken as u64;
                if *left == 0 {
                    self.place = Place::ChunkEnd;
                }
                Ok(taken)
            }
            Place::ChunkEnd => {
                if bytes[0] == b'\n' {
                    self.place = Place::ChunkSize(Vec::new());
                }
                Ok(1)
            }
            Place::Trailers { line, all } => {
                (*line, *all) = (*line + usize::from(bytes[0] != b'\r'), *all + 1);
                if *all > most {
                    return Err(Fault::TooLarge);
                }
                match (bytes[0], *line) {
                    (b'\n', 1) => self.place = Place::Head(Vec::new()),
                    (b'\n', _) => *line = 0,
                    _ => {}
                }
                Ok(1)
            }
            _ => Ok(bytes.len()),
        }
    }
}

fn within(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())
}

/// Adds bytes up to the end of the head; line breaks before a request line are passed over.
fn extend_head(head: &mut Vec<u8>, bytes: &[u8]) -> usize {
    for (i, byte) in bytes.iter().enumerate() {
        if !(head.is_empty() && matches!(byte, b'\r' | b'\n')) {
            head.push(*byte);
        }
        if *byte == b'\n' && is_whole(head) {
            return i + 1;
        }
    }
    bytes.len()
}

/// Whether a head has its empty line; a line may end without a carriage return.
fn is_whole(head: &[u8]) -> bool {
    head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
}

/// Where the byte behind a head belongs.
fn after(head: &[u8]) -> Result<Place, Fault> {
    let lines = head.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.trim_ascii().is_empty());
    let (mut lengths, mut codings, mut count) = (Vec::new(), Vec::new(), 0);
    for line in lines {
        count += 1;
        if line[0].is_ascii_whitespace() {
            return Err(Fault::Length("a header line is folded"));
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default().trim_ascii());
        if name.trim_ascii().eq_ignore_ascii_case(b"content-length") {
            lengths.push(value);
        } else if name.trim_ascii().eq_ignore_ascii_case(b"transfer-encoding") {
            codings.push(value);
        }
    }
    if count > MOST_HEADERS {
        return Err(Fault::TooLarge);
    }
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(Place::Head(Vec::new())),
        ([length], []) => body(length),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Place::ChunkSize(Vec::new())),
        ([], _) => Err(Fault::Length("the only Transfer-Encoding that is read is \"chunked\", once")),
        (_, []) => Err(Fault::Length("Content-Length stands twice")),
        _ => Err(Fault::Length("Content-Length stands beside Transfer-Encoding")),
    }
}

fn body(length: &[u8]) -> Result<Place, Fault> {
    let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(length).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    match number {
        Some(0) => Ok(Place::Head(Vec::new())),
        Some(length) => Ok(Place::Body(length)),
        None => Err(Fault::Length("Content-Length is no number")),
    }
}

/// The size that stands before a chunk, without the extensions behind it.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|byte| matches!(byte, b';' | b'\r' | b'\n')).next()?.trim_ascii();
    let digits = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(size).ok().filter(|_| digits).and_then(|text| u64::from_str_radix(text, 16).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows a text whole and byte by byte, which must come to the same.
    fn follow(text: &str) -> Result<Option<usize>, Fault> {
        let mut whole = Framing::new(200);
        let told = whole.follow(text.as_bytes()).map(|()| whole.in_head());
        let mut bytes = Framing::new(200);
        let one_by_one = text.bytes().try_for_each(|b| bytes.follow(&[b])).map(|()| bytes.in_head());
        assert_eq!(told, one_by_one, "{text:?}");
        told
    }

    #[test]
    fn a_request_ends_where_its_length_says() {
        assert_eq!(follow("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), Ok(Some(0)));
        assert_eq!(follow("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab"), Ok(None));
        assert_eq!(follow("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET"), Ok(Some(3)));
        assert_eq!(follow("POST / HTTP/1.1\ncontent-length:0\n\n\r\nG"), Ok(Some(1)));
    }

    #[test]
    fn a_request_in_chunks_ends_behind_its_trailers() {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n";
        assert_eq!(follow(&format!("{head}3\r\nabc\r\n")), Ok(None));
        assert_eq!(follow(&format!("{head}3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nGE")), Ok(Some(2)));
        assert_eq!(follow(&format!("{head}0\r\nsum: 1\r\n\r\nGE")), Ok(Some(2)));
        assert_eq!(follow(&format!("{head}x\r\nGET / HTTP/1.1\r\n\r\n")), Ok(None));
    }

    #[test]
    fn whatever_says_twice_how_long_a_request_is_does_not_go_on() {
        for headers in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 0",
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: 3, 3",
            "Content-Length: +3",
            "Content-Length: -1",
            "Content-Length: 0x3",
            "Content-Length: 99999999999999999999",
            "Content-Length: ",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding : chunked\r\nContent-Length: 3",
            "Host: a\r\n Content-Length: 3",
        ] {
            let told = follow(&format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n"));
            assert!(matches!(told, Err(Fault::Length(_))), "{headers:?}: {told:?}");
        }
    }

    #[test]
    fn a_head_and_its_lines_have_an_end() {
        assert_eq!(follow(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(200))), Err(Fault::TooLarge));
        let mut many = Framing::new(100_000);
        let lines = "a: b\r\n".repeat(MOST_HEADERS + 1);
        assert_eq!(many.follow(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes()), Err(Fault::TooLarge));
        let chunk = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;{}", "a".repeat(200));
        assert_eq!(follow(&chunk), Err(Fault::TooLarge));
    }
}
