//! Functions of a cell that Spark's generated code calls with plain numbers, where a UDF boxes each of them.
package caudal;

import static org.apache.spark.sql.functions.expr;

import java.io.Serializable;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connector.catalog.FunctionCatalog;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.functions.BoundFunction;
import org.apache.spark.sql.connector.catalog.functions.ScalarFunction;
import org.apache.spark.sql.connector.catalog.functions.UnboundFunction;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/** A catalog of Spark's: only functions of catalogs are called so. Each is known by a name while its query is planned. */
public final class Functions implements FunctionCatalog {
    private static final String CATALOG = "caudal";
    private static final Map<String, OfCell> KNOWN = new ConcurrentHashMap<>();
    private static final AtomicLong NUMBER = new AtomicLong();

    /** What a function does with the cell {@code x} of column {@code c}. */
    interface Rule extends Serializable {
        int of(int c, double x);
    }

    /** Makes Spark know this catalog. */
    static void enter(SparkSession spark) {
        spark.conf().set("spark.sql.catalog." + CATALOG, Functions.class.getName());
    }

    /** Calls a rule, which is broadcast, on the columns {@code c} and {@code x}. */
    static Column call(JavaSparkContext sc, Rule rule) {
        String name = "f" + NUMBER.incrementAndGet();
        KNOWN.put(name, new OfCell(name, sc.broadcast(rule)));
        return expr(CATALOG + "." + name + "(c, x)");
    }

    @Override
    public void initialize(String name, CaseInsensitiveStringMap options) {
        // There is nothing to set.
    }

    @Override
    public String name() {
        return CATALOG;
    }

    @Override
    public Identifier[] listFunctions(String[] namespace) {
        return new Identifier[0];
    }

    @Override
    public UnboundFunction loadFunction(Identifier identifier) {
        return KNOWN.get(identifier.name());
    }

    /** Spark finds {@code invoke} by its name and the types of its arguments. */
    public static final class OfCell implements UnboundFunction, ScalarFunction<Integer> {
        private static final long serialVersionUID = 1;
        private final String name;
        private final Broadcast<Rule> sent;
        private transient Rule rule;

        OfCell(String name, Broadcast<Rule> sent) {
            this.name = name;
            this.sent = sent;
        }

        public int invoke(int c, double x) {
            Rule here = rule;
            if (here == null) {
                here = rule = sent.value();
            }
            return here.of(c, x);
        }

        @Override
        public BoundFunction bind(StructType inputs) {
            return this;
        }

        @Override
        public DataType[] inputTypes() {
            return new DataType[] {DataTypes.IntegerType, DataTypes.DoubleType};
        }

        @Override
        public DataType resultType() {
            return DataTypes.IntegerType;
        }

        @Override
        public boolean isResultNullable() {
            return false;
        }

        @Override
        public String canonicalName() {
            return CATALOG + "." + name;
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public String description() {
            return name;
        }

        @Override
        public String toString() {
            return name;
        }
    }
}
