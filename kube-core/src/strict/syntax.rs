//! Says what is wrong with a text that is not JSON, in the words of Go's `encoding/json` scanner. Only runs after a failure.

use super::quote::quote_byte;

/// Nesting beyond this is refused. Source: Go `encoding/json` `maxNestingDepth`.
const DEPTH_MAX: usize = 10_000;

/// What Go would say against `text`; `None` if Go would take it.
pub(super) fn explain(text: &[u8]) -> Option<String> {
    let mut scanner = Scanner { text, position: 0, open: Vec::new() };
    scanner.document().err().map(|wrong| match scanner.text.get(scanner.position) {
        Some(&byte) => format!("invalid character {} {wrong}", quote_byte(byte)),
        None => "unexpected end of JSON input".into(),
    })
}

/// What is wrong with the byte at the scanner's position; at the end of the text that is always "unexpected end".
type Wrong = String;

struct Scanner<'a> {
    text: &'a [u8],
    position: usize,
    /// The closing bytes that are awaited, outermost first.
    open: Vec<u8>,
}

/// What the scanner awaits.
enum Next {
    Value,
    Member,
    /// A comma or the end of what is open.
    After,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), Wrong> {
        let mut next = Next::Value;
        loop {
            self.space();
            next = match (next, self.open.last()) {
                (Next::Value, _) => self.value()?,
                (Next::Member, _) => self.member()?,
                (Next::After, Some(&close)) => self.after(close)?,
                (Next::After, None) if self.position < self.text.len() => return Err("after top-level value".into()),
                (Next::After, None) => return Ok(()),
            };
        }
    }

    /// A scalar, or the beginning of an object or array.
    fn value(&mut self) -> Result<Next, Wrong> {
        match self.text.get(self.position) {
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true")?,
            Some(b'f') => self.literal("false")?,
            Some(b'n') => self.literal("null")?,
            Some(b'{') => return self.begin(b'}', Next::Member),
            Some(b'[') => return self.begin(b']', Next::Value),
            _ => return Err("looking for beginning of value".into()),
        }
        Ok(Next::After)
    }

    fn begin(&mut self, close: u8, content: Next) -> Result<Next, Wrong> {
        if self.open.len() >= DEPTH_MAX {
            return Err("exceeded max depth".into());
        }
        self.position += 1;
        self.space();
        if self.next_of(&[close]).is_some() {
            return Ok(Next::After);
        }
        self.open.push(close);
        Ok(content)
    }

    /// A key and its colon.
    fn member(&mut self) -> Result<Next, Wrong> {
        if self.text.get(self.position) != Some(&b'"') {
            return Err("looking for beginning of object key string".into());
        }
        self.string()?;
        self.space();
        self.next_of(b":").ok_or("after object key")?;
        Ok(Next::Value)
    }

    fn after(&mut self, close: u8) -> Result<Next, Wrong> {
        let is_object = close == b'}';
        match self.next_of(&[b',', close]) {
            Some(b',') if is_object => Ok(Next::Member),
            Some(b',') => Ok(Next::Value),
            Some(_) => {
                self.open.pop();
                Ok(Next::After)
            }
            None if is_object => Err("after object key:value pair".into()),
            None => Err("after array element".into()),
        }
    }

    fn string(&mut self) -> Result<(), Wrong> {
        self.position += 1;
        loop {
            match self.text.get(self.position) {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..=0x1f) | None => return Err("in string literal".into()),
                Some(_) => self.position += 1,
            }
        }
        self.position += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Wrong> {
        self.position += 1;
        if self.next_of(b"u").is_none() {
            return self.next_of(b"bfnrt\\/\"").map(drop).ok_or("in string escape code".into());
        }
        for _ in 0..4 {
            self.next_of(b"0123456789abcdefABCDEF").ok_or("in \\u hexadecimal character escape")?;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Wrong> {
        let negative = self.next_of(b"-").is_some();
        if self.next_of(b"0").is_none() {
            self.digits().ok_or(if negative { "in numeric literal" } else { "looking for beginning of value" })?;
        }
        if self.next_of(b".").is_some() {
            self.digits().ok_or("after decimal point in numeric literal")?;
        }
        if self.next_of(b"eE").is_some() {
            self.next_of(b"+-");
            self.digits().ok_or("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Result<(), Wrong> {
        for letter in word.bytes() {
            let expecting = || format!("in literal {word} (expecting {})", quote_byte(letter));
            self.next_of(&[letter]).ok_or_else(expecting)?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Option<()> {
        self.next_of(b"0123456789")?;
        while self.next_of(b"0123456789").is_some() {}
        Some(())
    }

    fn space(&mut self) {
        while self.next_of(b" \t\r\n").is_some() {}
    }

    /// Steps over the next byte if it is one of these.
    fn next_of(&mut self, allowed: &[u8]) -> Option<u8> {
        let byte = *self.text.get(self.position)?;
        allowed.contains(&byte).then(|| {
            self.position += 1;
            byte
        })
    }
}
