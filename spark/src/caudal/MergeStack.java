//! Merges states pairwise while they come: as many are kept as their number has bits.
package caudal;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

final class MergeStack implements Serializable {
    private static final long serialVersionUID = 1;
    private final List<Moments> stack = new ArrayList<>();
    private long added;

    void add(Moments state) {
        added++;
        stack.add(state);
        for (long n = added; n % 2 == 0; n /= 2) {
            Moments later = stack.remove(stack.size() - 1);
            stack.add(stack.remove(stack.size() - 1).merge(later));
        }
    }

    /** Everything that was added, in its order. */
    Moments all() {
        Moments all = new Moments();
        for (int i = stack.size() - 1; i >= 0; i--) {
            all = stack.get(i).merge(all);
        }
        return all;
    }
}
