use super::*;

#[test]
fn smoke() {
    let mut talk = Talk::new(settings(), || Node::start("dash", program(), |_| {}));
    let o = talk.collect();
    println!("{:#?}", o.probes);
    println!("{:?}", o.inventory);
    println!("{}", o.frame.len());
    let o = talk.collect_after(Duration::from_secs(5));
    println!("{}", o.frame.len());
    println!("{}", talk.lanes[&Lane::Host].bytes);
}
