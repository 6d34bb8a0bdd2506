//! Decimal text as doubles, each rounded once.
package caudal;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;

/** Reads one number after the other; the fields tell of the last. */
final class Digits {
    /** Digits that every integer may have without losing any in double. */
    static final int SAFE = 15;
    /** Digits that a long holds whatever they are. */
    private static final int HELD = 18;
    private static final long EXACT = 1L << 53;
    private static final int MOST_EXPONENT = 99_999;
    /** The powers of ten that are doubles. */
    private static final double[] TEN = new double[23];
    double value;
    /** Behind the number. */
    int end;
    /** Whether it has neither point nor exponent. */
    boolean whole;
    private long mantissa;
    private int held;
    private int exponent;
    private boolean cut;

    static {
        for (int i = 0; i < TEN.length; i++) {
            TEN[i] = Double.parseDouble("1e" + i);
        }
    }

    /** Reads the longest number that begins here, with a sign or without; false where none does. */
    boolean read(byte[] text, int from, int to) {
        int at = from < to && (text[from] == '-' || text[from] == '+') ? from + 1 : from;
        mantissa = 0;
        held = 0;
        exponent = 0;
        cut = false;
        int begin = at;
        at = digits(text, at, to, 0);
        int seen = at - begin;
        whole = true;
        if (at < to && text[at] == '.') {
            int behind = digits(text, at + 1, to, -1);
            seen += behind - at - 1;
            at = behind;
            whole = false;
        }
        if (seen == 0) {
            return false;
        }
        end = power(text, at, to);
        value = isExact() ? exponent < 0 ? mantissa / TEN[-exponent] : mantissa * TEN[exponent] : slowly(text, begin);
        value = text[from] == '-' ? -value : value;
        return true;
    }

    private int digits(byte[] text, int from, int to, int step) {
        int at = from;
        while (at < to && text[at] >= '0' && text[at] <= '9') {
            if (held < HELD) {
                mantissa = mantissa * 10 + (text[at] - '0');
                held += mantissa == 0 ? 0 : 1;
                exponent += step;
            } else {
                cut = true;
            }
            at++;
        }
        return at;
    }

    private int power(byte[] text, int from, int to) {
        if (from >= to || (text[from] | 32) != 'e') {
            return from;
        }
        int at = from + 1;
        boolean negative = at < to && text[at] == '-';
        at += negative || at < to && text[at] == '+' ? 1 : 0;
        int begin = at;
        int power = 0;
        while (at < to && text[at] >= '0' && text[at] <= '9') {
            power = Math.min(MOST_EXPONENT, power * 10 + (text[at] - '0'));
            at++;
        }
        if (at == begin) {
            return from;
        }
        whole = false;
        exponent += negative ? -power : power;
        return at;
    }

    /** Whether both parts are doubles, so that one operation gives the value. */
    private boolean isExact() {
        return !cut && mantissa <= EXACT && exponent > -TEN.length && exponent < TEN.length;
    }

    private double slowly(byte[] text, int from) {
        return Double.parseDouble(new String(text, from, end - from, StandardCharsets.ISO_8859_1));
    }

    /** Whether the whole number that was read from here on is not the double that it was read as. */
    boolean isInexact(byte[] text, int from) {
        if (!whole || end - from <= SAFE) {
            return false;
        }
        String digits = new String(text, from, end - from, StandardCharsets.ISO_8859_1);
        return new BigDecimal(value).compareTo(new BigDecimal(new BigInteger(digits))) != 0;
    }
}
