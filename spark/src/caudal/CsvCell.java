//! One cell of CSV as a number.
package caudal;

import java.nio.charset.StandardCharsets;

/** Reads one cell after the other; empty, NA, N/A, null and NaN are missing, inf and infinity infinite, in any case. */
final class CsvCell {
    static final int VALUE = 0;
    static final int MISSING = 1;
    static final int TEXT = 2;
    /** A number that no double can hold. */
    static final int BEYOND = 3;
    private final Digits digits = new Digits();
    double value;
    boolean inexact;

    int read(byte[] text, int begin, int end) {
        int from = begin;
        int to = end;
        while (from < to && isSpace(text[from])) {
            from++;
        }
        while (from < to && isSpace(text[to - 1])) {
            to--;
        }
        value = Double.NaN;
        inexact = false;
        if (from == to) {
            return MISSING;
        }
        if (!digits.read(text, from, to) || digits.end != to) {
            return word(text, from, to);
        }
        if (Double.isInfinite(digits.value)) {
            return BEYOND;
        }
        value = digits.value;
        inexact = digits.isInexact(text, from);
        return VALUE;
    }

    private static boolean isSpace(byte c) {
        return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
    }

    private int word(byte[] text, int from, int to) {
        if (to - from > 9) {
            return TEXT;
        }
        String word = new String(text, from, to - from, StandardCharsets.ISO_8859_1).toLowerCase(java.util.Locale.ROOT);
        boolean signed = word.charAt(0) == '-' || word.charAt(0) == '+';
        switch (signed ? word.substring(1) : word) {
            case "inf": case "infinity":
                value = word.charAt(0) == '-' ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY;
                return VALUE;
            case "nan": return MISSING;
            case "na": case "n/a": case "null": return signed ? TEXT : MISSING;
            default: return TEXT;
        }
    }

    /** Why a cell is no number. */
    static String unlike(int kind, byte[] text, int from, int to) {
        String shown = Utf8.shown(text, from, to);
        return kind == BEYOND ? beyond(shown.trim()) : "expected a number, found \"" + shown + "\"";
    }

    static String beyond(String digits) {
        return "expected a number within ±1.7976931348623157e308, found " + digits;
    }
}
