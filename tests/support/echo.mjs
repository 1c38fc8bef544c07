// An origin for tests, in Node: the same answers over HTTP/1.1, TLS with HTTP/2, plain HTTP/2, IPv6
// and a Unix socket. Its one argument is a folder with cert.pem and key.pem, in which it makes
// echo.sock. Prints its ports as JSON, and ends with its standard input.
import crypto from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import path from 'node:path'

const folder = process.argv[2]
const page = Buffer.from('<p>\u00e4 page</p>\n'.repeat(100))

const answers = {
    '/echo'(request, response) {
        response.writeHead(200, { 'content-type': 'application/octet-stream' })
        request.pipe(response)
    },
    '/count'(request, response) {
        const hash = crypto.createHash('sha256')
        let bytes = 0
        request.on('data', (piece) => {
            bytes += piece.length
            hash.update(piece)
        })
        request.on('end', () => response.end(`${bytes} ${hash.digest('hex')}`))
    },
    '/asked'(request, response) {
        const { method, url, rawHeaders, httpVersion } = request
        const body = JSON.stringify({ method, url, httpVersion, headers: rawHeaders })
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(body)
    },
    '/page'(request, response) {
        response.setHeader('set-cookie', ['a=1; Path=/', 'b=2; HttpOnly'])
        response.setHeader('vary', 'Accept-Encoding, Origin')
        response.setHeader('etag', '"v1"')
        response.setHeader('x-odd', 'a, "b", c=\u00e9')
        if (request.headers['if-none-match'] === '"v1"') {
            response.writeHead(304)
            return response.end()
        }
        if (request.headers.range) {
            response.writeHead(206, { 'content-range': `bytes 0-9/${page.length}`, 'content-length': 10 })
            return response.end(page.subarray(0, 10))
        }
        response.writeHead(200, { 'content-type': 'text/html', 'content-length': page.length })
        response.end(request.method === 'HEAD' ? undefined : page)
    },
    '/api'(request, response) {
        // As CORS wants it.
        response.setHeader('access-control-allow-origin', request.headers.origin ?? '*')
        response.setHeader('access-control-allow-methods', 'PUT, DELETE')
        response.setHeader('access-control-max-age', '600')
        response.writeHead(request.method === 'OPTIONS' ? 204 : 201)
        response.end()
    },
    '/moved'(request, response) {
        response.writeHead(307, { location: 'https://elsewhere.example/x?y=%20z' })
        response.end('gone there')
    },
    '/missing'(request, response) {
        response.writeHead(404, { 'content-type': 'text/plain' })
        response.end('nothing here')
    },
    '/trailers'(request, response) {
        response.writeHead(200, { 'content-type': 'application/grpc', trailer: 'grpc-status, grpc-message' })
        response.write('first')
        response.write('second')
        response.addTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' })
        response.end()
    },
    '/only-a-head'(request, response) {
        const head = { 'content-type': 'application/grpc', 'grpc-status': '5' }
        if (response.stream) return response.stream.respond({ ':status': 200, ...head }, { endStream: true })
        response.writeHead(200, head)
        response.end()
    },
    '/early'(request, response) {
        response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' })
        response.end('late')
    },
    '/connections'(request, response) {
        response.end(String(connections))
    },
    '/flood'(request, response) {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        const event = `data: ${'x'.repeat(1000)}\n\n`
        const more = () => {
            while (!response.destroyed && response.write(event));
        }
        response.on('drain', more)
        more()
    },
    '/events'(request, response) {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(`data: over HTTP/${request.httpVersion}\n\n`)
    },
}

let connections = 0

/// Greets, and then says whatever it is told.
function upgraded(request, socket) {
    socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\nhello`,
    )
    socket.pipe(socket)
}

function answer(request, response) {
    const known = answers[request.url.split('?')[0]]
    if (known) return known(request, response)
    response.writeHead(404)
    response.end()
}

const certificate = {
    cert: fs.readFileSync(path.join(folder, 'cert.pem')),
    key: fs.readFileSync(path.join(folder, 'key.pem')),
}
const servers = {
    http: [http.createServer(answer), { port: 0, host: '127.0.0.1' }],
    http6: [http.createServer(answer), { port: 0, host: '::1' }],
    https: [http2.createSecureServer({ ...certificate, allowHTTP1: true }, answer), { port: 0, host: '127.0.0.1' }],
    h2c: [http2.createServer(answer), { port: 0, host: '127.0.0.1' }],
    unix: [http.createServer(answer), { path: path.join(folder, 'echo.sock') }],
}
const ports = {}
for (const [name, [server, where]] of Object.entries(servers)) {
    server.on('connection', () => connections++)
    server.on('upgrade', upgraded)
    await new Promise((listening) => server.listen(where, listening))
    ports[name] = server.address().port ?? 0
}
console.log(JSON.stringify(ports))
process.stdin.resume()
process.stdin.on('end', () => process.exit())
