//! One line of JSON read value by value: numbers with all their digits, and the place where it stops being JSON.
package caudal;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;

/** Reads what RFC 8259 allows and nothing else. */
final class JsonText {
    static final int NUMBER = 0;
    static final int MISSING = 1;
    /** A number that no double can hold. */
    static final int BEYOND = 2;
    static final int TEXT = 3;
    static final int BOOLEAN = 4;
    static final int NESTED = 5;
    private static final ObjectMapper STRINGS = new ObjectMapper();
    private final Digits digits = new Digits();
    private byte[] text;
    private int at;
    private int to;
    private int begin;
    /** Of the last value that was a number. */
    double value;
    boolean inexact;
    /** Where the last value began and ended. */
    private int from;
    private int behind;
    /** The last string, without its quotes. */
    int stringFrom;
    int stringTo;
    private boolean plain;

    /** The text is no JSON from some byte on. */
    static final class NotJson extends Exception {
        private static final long serialVersionUID = 1;
        final int column;

        NotJson(String reason, int column) {
            super(reason, null, false, false);
            this.column = column;
        }
    }

    /** Begins with some bytes; a byte order mark is passed over. */
    void open(byte[] line, int lineFrom, int lineTo) {
        text = line;
        begin = lineFrom;
        to = lineTo;
        boolean marked = lineTo - lineFrom >= 3 && line[lineFrom] == (byte) 0xEF && line[lineFrom + 1] == (byte) 0xBB
            && line[lineFrom + 2] == (byte) 0xBF;
        begin += marked ? 3 : 0;
        at = begin;
    }

    /** The first byte of what comes next; -1 at the end. */
    int peek() {
        while (at < to && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r')) {
            at++;
        }
        return at < to ? text[at] & 255 : -1;
    }

    private NotJson stop(String reason, int place) {
        return new NotJson(reason, place - begin + 1);
    }

    private NotJson stop(String reason, String atEnd) {
        return at < to ? stop(reason, at) : new NotJson(atEnd, to - begin);
    }

    void end() throws NotJson {
        if (peek() >= 0) {
            throw stop("trailing characters", at);
        }
    }

    /** Goes into an object; whether it has entries. */
    boolean enter() {
        peek();
        at++;
        if (peek() != '}') {
            return true;
        }
        at++;
        return false;
    }

    /** Reads the key of an entry, which is then the last string. */
    void key() throws NotJson {
        if (peek() != '"') {
            throw stop("key must be a string", "EOF while parsing an object");
        }
        string();
        if (peek() != ':') {
            throw stop("expected `:`", "EOF while parsing an object");
        }
        at++;
    }

    /** Whether another entry follows. */
    boolean goesOn(char close) throws NotJson {
        int next = peek();
        String kind = close == '}' ? "an object" : "a list";
        if (next != ',' && next != close) {
            throw stop("expected `,` or `" + close + "`", "EOF while parsing " + kind);
        }
        at++;
        return next == ',';
    }

    /** Reads any value; what kind it is. */
    int cell() throws NotJson {
        int first = peek();
        from = at;
        int kind = cell(first);
        behind = at;
        return kind;
    }

    private int cell(int first) throws NotJson {
        switch (first) {
            case '"':
                string();
                return TEXT;
            case 'n': return word("null", MISSING);
            case 't': return word("true", BOOLEAN);
            case 'f': return word("false", BOOLEAN);
            case '[': case '{':
                skip();
                return NESTED;
            default:
                if (first == '-' || first >= '0' && first <= '9') {
                    return number();
                }
                throw stop("expected value", "EOF while parsing a value");
        }
    }

    private int word(String word, int kind) throws NotJson {
        for (int i = 0; i < word.length(); i++, at++) {
            if (at == to || text[at] != word.charAt(i)) {
                throw stop("expected ident", "EOF while parsing a value");
            }
        }
        return kind;
    }

    private int number() throws NotJson {
        int first = text[at] == '-' ? at + 1 : at;
        boolean digit = first < to && isDigit(first);
        boolean zeros = digit && text[first] == '0' && first + 1 < to && isDigit(first + 1);
        if (!digit || zeros || !digits.read(text, at, to)) {
            at = zeros ? first + 1 : first;
            throw stop("invalid number", "EOF while parsing a value");
        }
        checkPoint(first);
        at = digits.end;
        if (at < to && (text[at] | 32) == 'e') {
            throw stop("invalid number", at);
        }
        value = digits.value;
        inexact = !Double.isInfinite(value) && digits.isInexact(text, from);
        return Double.isInfinite(value) ? BEYOND : NUMBER;
    }

    private boolean isDigit(int i) {
        return text[i] >= '0' && text[i] <= '9';
    }

    private void checkPoint(int first) throws NotJson {
        int point = first;
        while (point < digits.end && isDigit(point)) {
            point++;
        }
        boolean isFollowed = point == digits.end || text[point] != '.' || point + 1 < to && isDigit(point + 1);
        if (!isFollowed) {
            at = point + 1;
            throw stop("invalid number", "EOF while parsing a value");
        }
    }

    /** Passes over an array or object, however deeply it is nested. */
    private void skip() throws NotJson {
        BitSet objects = new BitSet();
        int depth = 0;
        do {
            int next = peek();
            if (next == '[' || next == '{') {
                char close = next == '[' ? ']' : '}';
                at++;
                if (peek() != close) {
                    objects.set(depth++, next == '{');
                    if (next == '{') {
                        key();
                    }
                    continue;
                }
                at++;
            } else {
                cell(next);
            }
            while (depth > 0) {
                boolean object = objects.get(depth - 1);
                if (goesOn(object ? '}' : ']')) {
                    if (object) {
                        key();
                    }
                    break;
                }
                depth--;
            }
        } while (depth > 0);
    }

    private void string() throws NotJson {
        stringFrom = ++at;
        plain = true;
        while (at < to && text[at] != '"') {
            if (text[at] >= 0 && text[at] < 32) {
                throw stop("control character (\\u0000-\\u001F) found while parsing a string", at);
            }
            boolean escape = text[at] == '\\';
            if (escape && at + 1 < to && "\"\\/bfnrtu".indexOf(text[at + 1]) < 0) {
                throw stop("invalid escape", at + 1);
            }
            plain &= !escape;
            at += escape ? 2 : 1;
        }
        if (at >= to) {
            throw new NotJson("EOF while parsing a string", to - begin);
        }
        stringTo = at++;
        int wrong = Utf8.fault(text, stringFrom, stringTo);
        if (wrong >= 0) {
            throw stop("the text is not UTF-8, convert it first", wrong);
        }
        if (!plain) {
            decoded();
        }
    }

    /** Whether the last string is this one, whose bytes are given too. */
    boolean isString(String other, byte[] bytes) throws NotJson {
        if (!plain) {
            return decoded().equals(other);
        }
        if (stringTo - stringFrom != bytes.length) {
            return false;
        }
        for (int i = 0; i < bytes.length; i++) {
            if (text[stringFrom + i] != bytes[i]) {
                return false;
            }
        }
        return true;
    }

    /** Whether the last string is the word for a positive infinity. */
    boolean isInfinity() {
        return text[stringFrom] == 'I';
    }

    /** What the last string says. */
    String decoded() throws NotJson {
        if (plain) {
            return new String(text, stringFrom, stringTo - stringFrom, StandardCharsets.UTF_8);
        }
        try {
            String string = STRINGS.readValue(text, stringFrom - 1, stringTo - stringFrom + 2, String.class);
            for (int i = 0; i < string.length(); i++) {
                if (Character.isSurrogate(string.charAt(i)) && !isPair(string, i) && (i == 0 || !isPair(string, i - 1))) {
                    throw stop("an escape stands for half a character, or values are nested too deeply", stringFrom);
                }
            }
            return string;
        } catch (IOException e) {
            throw stop("invalid escape", stringFrom);
        }
    }

    private static boolean isPair(String string, int i) {
        return i + 1 < string.length() && Character.isSurrogatePair(string.charAt(i), string.charAt(i + 1));
    }

    /** What the last value is called in a message. */
    String described(int kind) throws NotJson {
        switch (kind) {
            case MISSING: return "null";
            case TEXT: return "\"" + Utf8.shown(decoded()) + "\"";
            case NESTED: return text[from] == '[' ? "an array" : "an object";
            case BOOLEAN: return shown();
            default: return "the number " + shown();
        }
    }

    private String shown() {
        return Utf8.shown(text, from, behind);
    }

    String unlike(int kind, String expected) throws NotJson {
        return kind == BEYOND ? CsvCell.beyond(shown()) : "expected " + expected + ", found " + described(kind);
    }
}
