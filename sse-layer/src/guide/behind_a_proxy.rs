//! Behind a proxy.
//!
//! What a stream needs from a proxy is little: that it passes on what comes as it comes, that it
//! waits longer than 15 seconds in silence, and that it breaks the connection, instead of
//! answering 502, when the server is away. The layer's headers and comments see to the first
//! two with most of them; the third is always to be configured: a browser's `EventSource` takes
//! any status but 200 as the end, and comes back after a broken connection.
//!
//! | | tried | passes events at once | compresses | silence allowed |
//! | --- | --- | --- | --- | --- |
//! | nginx | 1.22.1 | yes, by `X-Accel-Buffering: no` | if told to compress event streams; then it flushes each event | `proxy_read_timeout`, 60 s |
//! | Caddy | 2.11.7 | yes | no, by `no-transform` | without end |
//! | HAProxy | 2.6.12 | 0.2 s late, unless `option http-no-delay` | no, by `no-transform` | `timeout server` and `timeout client` |
//! | AWS ALB | not tried | | | 60 s |
//!
//! Each of the first three was put before the examples of this crate, over HTTP/1.1. With the
//! silence limited to 20 s, a stream without any event was still open after 65 s; limited to
//! 10 s, it was cut then. When a client left, the server was told at once, so that it could stop
//! its work. With the lines below, a server that was stopped and started again was an interruption
//! for its clients, and not the end.
//!
//! # nginx
//!
//! ```text
//! location /events {
//!     proxy_pass http://127.0.0.1:3000;
//!     proxy_http_version 1.1;
//!     proxy_set_header Connection "";
//!     proxy_set_header Host $http_host;  # else multiplexing takes your own pages for another site's
//!     gzip off;                       # it does not heed no-transform
//!     error_page 502 504 = @drop;     # the server is away: let clients come back
//! }
//! location @drop {
//!     return 444;                     # closes the connection without an answer
//! }
//! ```
//!
//! `proxy_pass` alone delivers events. Where `X-Accel-Buffering` is ignored on purpose
//! (`proxy_ignore_headers`), nothing came through; `proxy_buffering off` helps there.
//!
//! Each stream holds two of nginx's connections, of which there are 512 to a worker
//! (`worker_connections`). Over HTTP/2, a browser has 128 streams (`http2_max_concurrent_streams`).
//!
//! # Caddy
//!
//! ```text
//! example.org {
//!     reverse_proxy 127.0.0.1:3000
//!     handle_errors 502 503 504 {
//!         abort
//!     }
//! }
//! ```
//!
//! It speaks HTTP/2 and HTTP/3 to browsers by itself. When its configuration is loaded anew,
//! it ends the streams, unless `stream_close_delay` is set in `reverse_proxy` (not tried).
//!
//! # HAProxy
//!
//! ```text
//! defaults
//!     mode http
//!     option http-no-delay            # without it each event waits 0.2 s for more to come
//!     timeout connect 5s
//!     timeout client 60s
//!     timeout server 60s
//!     errorfile 502 /dev/null         # closes the connection without an answer
//!     errorfile 503 /dev/null
//!     errorfile 504 /dev/null
//! ```
//!
//! # AWS ALB
//!
//! Not tried; by its documentation the idle timeout is 60 seconds (`idle_timeout.timeout_seconds`),
//! so that comments after 15 seconds keep streams open. Two things to set:
//!
//! ```text
//! aws elbv2 modify-load-balancer-attributes --load-balancer-arn … \
//!     --attributes Key=idle_timeout.timeout_seconds,Value=60
//! aws elbv2 modify-target-group-attributes --target-group-arn … \
//!     --attributes Key=deregistration_delay.timeout_seconds,Value=30
//! ```
//!
//! The delay is how long a target that is taken out may keep its streams; it should be longer
//! than the window of the [drain](crate::guide::recipes#stopping-a-server). Where no target is
//! there it answers 503, which it cannot be told not to: keep one more target than is needed
//! while others are exchanged.
//!
//! # Something in between is holding events back?
//!
//! Ask from both sides of it, and compare when the lines come:
//!
//! ```text
//! curl -N --compressed http://127.0.0.1:3000/events      # the server
//! curl -N --compressed https://example.org/events        # through the proxy
//! ```
//!
//! The first comment should be there at once in both, and then each event as it is sent.
//! `--compressed` matters: some compress, and so hold back, only for who accepts it.
