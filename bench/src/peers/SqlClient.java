import java.nio.file.*;
import java.sql.*;
import java.util.*;

/** Asks queries by JDBC. Arguments: URL, a file with one query a line. Prints one line of JSON for each query. */
public class SqlClient {
  public static void main(String[] arguments) throws Exception {
    try (Connection connection = DriverManager.getConnection(arguments[0]);
        PreparedStatement none = connection.prepareStatement("SELECT 1")) {
      none.executeQuery().close();
      for (String query : Files.readAllLines(Path.of(arguments[1])))
        try (PreparedStatement statement = connection.prepareStatement(query); ResultSet rows = statement.executeQuery()) {
          int columns = rows.getMetaData().getColumnCount();
          List<String> lines = new ArrayList<>();
          while (rows.next()) {
            List<String> values = new ArrayList<>();
            for (int at = 1; at <= columns; at++) values.add(json(rows.getObject(at)));
            lines.add("[" + String.join(",", values) + "]");
          }
          System.out.println("[" + String.join(",", lines) + "]");
        }
    }
  }

  static String json(Object value) throws SQLException {
    if (value == null) return "null";
    if (value instanceof Double number && (number.isNaN() || number.isInfinite())) return quoted(number.toString());
    if (value instanceof Number || value instanceof Boolean) return value.toString();
    if (value instanceof java.sql.Array array) {
      List<String> values = new ArrayList<>();
      for (Object one : (Object[]) array.getArray()) values.add(json(one));
      return "[" + String.join(",", values) + "]";
    }
    return quoted(value.toString());
  }

  static String quoted(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char each : text.toCharArray()) {
      if (each == '"' || each == '\\') out.append('\\').append(each);
      else if (each < 32) out.append(String.format("\\u%04x", (int) each));
      else out.append(each);
    }
    return out.append('"').toString();
  }
}
