// How an event of each feed is shown: as a few words, and as a bar's height (any number).

const feeds = {
  orders: [(d) => `${d.pieces} × ${d.item}`, (d) => d.total],
  prices: [(d) => `${d.symbol} ${d.price.toFixed(2)}`, (d) => d.price],
  chat: [(d) => `${d.from}: ${d.text}`, (d) => d.text.length],
  builds: [(d) => `#${d.build} ${d.result}`, (d) => d.seconds],
  scores: [(d) => `${d.game} ${d.home} : ${d.away}`, (d) => d.home + d.away],
  weather: [(d) => `${d.city} ${d.celsius.toFixed(1)} °C`, (d) => d.celsius],
  alerts: [(d) => d.text, (d) => d.load],
  trains: [(d) => `${d.line} on track ${d.track}`, (d) => d.late],
  tickets: [(d) => `${d.ticket} ${d.state}`, (d) => d.open],
  sensors: [(d) => `${d.sensor} ${d.bar.toFixed(2)} bar`, (d) => d.bar],
  logins: [(d) => `${d.user} from ${d.from}`, (d) => d.ms],
  deploys: [(d) => `${d.service} ${d.version} to ${d.percent} %`, (d) => d.percent],
};

export const words = (name, data) => feeds[name]?.[0](data) ?? '';
export const level = (name, data) => feeds[name]?.[1](data) ?? 0;
