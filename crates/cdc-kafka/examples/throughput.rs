//! temp
#![allow(clippy::all, clippy::unwrap_used, clippy::print_stdout)]
use cdc_event::{Sequence, Watermark};
use cdc_kafka::*;
use std::time::{Duration, Instant};
fn threads() -> Vec<(String, u64)> {
    let mut v = vec![];
    for e in std::fs::read_dir("/proc/self/task").unwrap() {
        let p = e.unwrap().path();
        let n = std::fs::read_to_string(p.join("comm")).unwrap().trim().to_string();
        let s = std::fs::read_to_string(p.join("schedstat")).unwrap();
        v.push((n, s.split(' ').next().unwrap().parse().unwrap()));
    }
    v
}
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let brokers = std::env::args().nth(1).unwrap();
    let nh: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let n: usize = std::env::args().nth(3).unwrap().parse().unwrap();
    let comp = std::env::args().nth(4).unwrap();
    let mut o = KafkaOptions::new(brokers);
    o.producer.insert("compression.type".into(), comp);
    for kv in std::env::args().skip(5) { let (k, v) = kv.split_once('=').unwrap(); o.producer.insert(k.into(), v.into()); }
    let t = Topics::new(o.clone(), Duration::from_secs(10));
    let topic = "throughput.test".to_string();
    t.ensure(&[topic.clone()], TopicSettings { partitions: 6, replication_factor: 1 }).await.unwrap();
    let p = OrderedProducer::new(&o, Limits::default()).unwrap();
    let mut w: Watermark<()> = Watermark::new();
    let payload: String = (0..500).map(|i| ((i * 7 % 26) as u8 + b'a') as char).collect();
    let mut taken = vec![];
    let mut send_ns = 0u128; let mut fulls = 0usize; let mut takes = 0usize;
    let keys: Vec<String> = (0..500).map(|i| format!("key-{i}")).collect();
    let hs = [HeaderRef { name: "id", value: Some(b"3f2504e0-4f89-41d3-9a0c-0305e82c3301") }, HeaderRef { name: "eventType", value: Some(b"OrderCreated") }, HeaderRef { name: "x", value: Some(b"y") }];
    // warm up
    p.try_send(OutgoingRecord { topic: &topic, partition: None, key: None, value: None, headers: &[], timestamp: None }, w.assign()).unwrap();
    while p.in_flight().records > 0 { p.delivered().await; p.take_deliveries(&mut taken); }
    for d in taken.drain(..) { d.result.unwrap(); w.acknowledge(d.sequence); }
    let th0 = threads();
    let start = Instant::now();
    let mut i = 0;
    while i < n {
        let s = w.assign();
        let r = OutgoingRecord { topic: &topic, partition: None, key: Some(keys[i % 500].as_bytes()), value: Some(payload.as_bytes()), headers: &hs[..nh], timestamp: Some(TimestampMillis(1_795_309_747_011)) };
        loop {
            let a = Instant::now();
            let x = p.try_send(r, s);
            send_ns += a.elapsed().as_nanos();
            match x { Ok(()) => break, Err(SendError::Full) => {
                fulls += 1;
                loop {
                    tokio::select! { () = p.capacity() => break, () = p.delivered() => {} }
                    takes += 1;
                    p.take_deliveries(&mut taken);
                    for d in taken.drain(..) { d.result.unwrap(); w.acknowledge(d.sequence); }
                }
            }, Err(e) => panic!("{e:?}") }
        }
        i += 1;
    }
    while p.in_flight().records > 0 { p.delivered().await; p.take_deliveries(&mut taken); for d in taken.drain(..) { d.result.unwrap(); w.acknowledge(d.sequence); } }
    let el = start.elapsed();
    println!("{n} in {el:?}: {:.0} k/s; try_send {} ns (with clock); fulls {fulls} takes {takes}; idle {}", n as f64 / el.as_secs_f64() / 1e3, send_ns / n as u128, w.is_idle());
    let th1 = threads();
    for (name, b) in th1.iter() {
        let a: u64 = th0.iter().find(|(m, _)| m == name).map_or(0, |x| x.1);
        if b - a > 1_000_000 { println!("  {name}: {} ns/record", (b - a) / n as u64); }
    }
    println!("  closed {}", p.close(Duration::from_secs(5)).await);
}
