//! A column of a source: what it is, and why it is not processed where it is not.
package caudal;

import java.io.Serializable;
import org.apache.spark.sql.types.DataType;

final class Column implements Serializable {
    private static final long serialVersionUID = 1;
    final String name;
    /** As the user knows it, such as int64. */
    final String type;
    /** Null for a numeric column. */
    final String unfit;
    /** How Spark reads it; null where it does not. */
    final DataType read;

    Column(String name, String type, String unfit, DataType read) {
        this.name = name;
        this.type = type;
        this.unfit = unfit;
        this.read = read;
    }

    /** Whether integers of this type can lose digits in double. */
    boolean mayBeInexact() {
        return type.equals("int64") || type.equals("uint64");
    }
}
