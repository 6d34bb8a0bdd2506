//! Bytes that should be text: whether they are, and how they are shown in a message.
package caudal;

import java.nio.charset.StandardCharsets;

final class Utf8 {
    private static final int TOLD = 40;

    private Utf8() {}

    /** Where bytes stop being UTF-8; -1 where they do not. */
    static int fault(byte[] text, int from, int to) {
        int at = from;
        while (at < to) {
            int length = text[at] >= 0 ? 1 : length(text, at, to);
            if (length == 0) {
                return at;
            }
            at += length;
        }
        return -1;
    }

    /** Bytes of the character of more than one that begins here; 0 where none does. */
    private static int length(byte[] text, int at, int to) {
        int lead = text[at] & 255;
        int length = lead >= 0xC2 && lead <= 0xDF ? 2 : lead >= 0xE0 && lead <= 0xEF ? 3 : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
        if (length == 0 || at + length > to) {
            return 0;
        }
        int second = text[at + 1] & 255;
        int least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        int most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (second < least || second > most) {
            return 0;
        }
        for (int i = 2; i < length; i++) {
            if ((text[at + i] & 0xC0) != 0x80) {
                return 0;
            }
        }
        return length;
    }

    /** At most 40 characters. */
    static String shown(byte[] text, int from, int to) {
        return shown(new String(text, from, to - from, StandardCharsets.UTF_8));
    }

    static String shown(String text) {
        if (text.codePointCount(0, text.length()) <= TOLD) {
            return text;
        }
        return text.substring(0, text.offsetByCodePoints(0, TOLD)) + "…";
    }
}
