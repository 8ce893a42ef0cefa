import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.regex.Pattern;

/** torc-bench's workloads on the JDK's server with a pool of threads: Server PORT THREADS WWW. */
public final class Server {
    private static final int BACKLOG = 4096;
    private static final int DELAY_MAX = 60000;
    private static final Pattern WHOLE_NUMBER = Pattern.compile("-?[0-9]{1,13}");
    private static final byte[] HELLO = bytes("Hello, World!");
    private static final byte[] MESSAGE = bytes("{\"message\":\"Hello, World!\"}");
    private static final byte[] OK = bytes("ok");

    /** Open files by name, as nginx's open_file_cache keeps them. */
    private static final Map<Path, FileChannel> FILES = new ConcurrentHashMap<>();

    private static final ThreadLocal<byte[]> PIECE = ThreadLocal.withInitial(() -> new byte[65536]);
    private static Path root;

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static void start(HttpExchange x, int status, String type, long size)
            throws IOException {
        x.getResponseHeaders().set("Server", "java");
        x.getResponseHeaders().set("Content-Type", type);
        x.sendResponseHeaders(status, size == 0 ? -1 : size); // -1 is none; 0 would be chunked
    }

    private static void reply(HttpExchange x, int status, String type, byte[] body)
            throws IOException {
        start(x, status, type, body.length);
        if (body.length > 0) x.getResponseBody().write(body);
    }

    private static void reply(HttpExchange x, int status, String text) throws IOException {
        reply(x, status, "text/plain", bytes(text));
    }

    private static void baseline(HttpExchange x) throws IOException {
        long sum = 0;
        String query = x.getRequestURI().getRawQuery();
        for (String pair : query == null ? new String[0] : query.split("&")) {
            String value = pair.substring(pair.indexOf('=') + 1);
            if (!WHOLE_NUMBER.matcher(value).matches()) {
                reply(x, 400, pair + " must be a whole number\n");
                return;
            }
            sum += Long.parseLong(value);
        }
        if (x.getRequestMethod().equals("POST")) {
            byte[] sent = x.getRequestBody().readAllBytes();
            String body = new String(sent, StandardCharsets.ISO_8859_1);
            if (!WHOLE_NUMBER.matcher(body).matches()) {
                reply(x, 400, "the body must be a whole number\n");
                return;
            }
            sum += Long.parseLong(body);
        }
        reply(x, 200, Long.toString(sum));
    }

    private static void delay(HttpExchange x, String text) throws IOException {
        if (!text.matches("[0-9]{1,5}") || Integer.parseInt(text) > DELAY_MAX) {
            reply(x, 400, "the delay must be a whole number from 0 to " + DELAY_MAX + "\n");
            return;
        }
        long end = System.nanoTime() + Integer.parseInt(text) * 1_000_000L;
        try {
            for (long left = end - System.nanoTime(); left > 0; left = end - System.nanoTime())
                Thread.sleep(left / 1_000_000, (int) (left % 1_000_000));
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        reply(x, 200, Integer.toString(Integer.parseInt(text)));
    }

    private static void upload(HttpExchange x) throws IOException {
        InputStream in = x.getRequestBody();
        byte[] piece = PIECE.get();
        long total = 0;
        for (int n = in.read(piece); n >= 0; n = in.read(piece)) total += n;
        reply(x, 200, Long.toString(total));
    }

    private static FileChannel open(Path path) throws IOException {
        FileChannel known = FILES.get(path);
        if (known != null || !path.startsWith(root) || !Files.isRegularFile(path)) return known;
        FileChannel mine = FileChannel.open(path, StandardOpenOption.READ);
        FileChannel first = FILES.putIfAbsent(path, mine);
        if (first == null) return mine;
        mine.close();
        return first;
    }

    private static void file(HttpExchange x, String name) throws IOException {
        FileChannel file = open(root.resolve(name).normalize());
        if (file == null) {
            reply(x, 404, "no such file\n");
            return;
        }
        long size = file.size();
        byte[] piece = PIECE.get();
        start(x, 200, "text/plain", size);
        OutputStream out = x.getResponseBody();
        for (long at = 0; at < size; ) {
            int n = file.read(ByteBuffer.wrap(piece), at);
            if (n <= 0) throw new IOException("the file became shorter");
            out.write(piece, 0, n);
            at += n;
        }
    }

    private static void route(HttpExchange x) throws IOException {
        String path = x.getRequestURI().getPath();
        boolean post = x.getRequestMethod().equals("POST");
        if (path.equals("/plaintext")) reply(x, 200, "text/plain", HELLO);
        else if (path.equals("/json")) reply(x, 200, "application/json", MESSAGE);
        else if (path.equals("/pipeline")) reply(x, 200, "text/plain", OK);
        else if (path.equals("/baseline11")) baseline(x);
        else if (path.startsWith("/delay/")) delay(x, path.substring(7));
        else if (path.startsWith("/static/")) file(x, path.substring(8));
        else if (post && path.equals("/upload")) upload(x);
        else if (post && path.equals("/echo"))
            reply(x, 200, "application/octet-stream", x.getRequestBody().readAllBytes());
        else reply(x, 404, "no such path\n");
    }

    public static void main(String[] args) throws IOException {
        root = Path.of(args[2], "static").toAbsolutePath().normalize();
        InetSocketAddress address = new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0]));
        HttpServer server = HttpServer.create(address, BACKLOG);
        server.setExecutor(Executors.newFixedThreadPool(Integer.parseInt(args[1])));
        server.createContext("/", x -> {
            try (x) {
                route(x);
            }
        });
        server.start();
        // In one write: who waits for this line may read it at any moment.
        System.err.print("java: ready http://127.0.0.1:" + server.getAddress().getPort()
                + " threads=" + args[1] + " pid=" + ProcessHandle.current().pid() + "\n");
    }
}
