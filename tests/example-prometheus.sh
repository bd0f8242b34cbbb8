#!/usr/bin/env bash
# example-prometheus.sh - what examples/ has for Prometheus and Grafana fits what zslot says
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need promtool jq curl nbdcopy zstd
examples=$srcdir/examples
dashboard=$examples/grafana-dashboard.json

cp "$examples"/prometheus*.yml .
port=$(unused_port)
serve zslot 64M memory-limit=12M backing=backing backing-size=64M idle-age=600 metrics-port="$port"
zstd -dc "$sample" >pages
nbdcopy pages "$uri"
nbdcopy "$uri" null:

# promtool_finds_nothing_wrong
promtool check config prometheus.yml >said 2>&1 || fail "$(cat said)"
grep -q 'SUCCESS: 1 rule files found' said || fail "the rules are not found: $(cat said)"
curl -sS "http://127.0.0.1:$port/metrics" >metrics
promtool check metrics <"$directory/metrics" >said 2>&1 || fail "$(cat said)"
[ ! -s said ] || fail "$(cat said)"

# every_metric_that_is_named_exists
names() {
    grep -oE 'zslot_[a-z0-9_]+' | sort -u
}
there=$(sed -nE 's/^(zslot_[a-z0-9_]+)[{ ].*/\1/p' metrics | sort -u)
missing() {
    comm -23 - <(echo "$there")
}
[ "$(echo 'rate(zslot_no_such_total[5m])' | names | missing)" = zslot_no_such_total ] ||
    fail "the test does not see a metric that there is not"
gone=$(jq -r '.. | .expr? // empty, .query? // empty' "$dashboard" | grep -v '^prometheus$' | names | missing)
[ -z "$gone" ] || fail "the dashboard names $gone"
gone=$(names <prometheus-rules.yml | missing)
[ -z "$gone" ] || fail "the rules name $gone"
[ "$(jq '[.panels[].targets[]] | length' "$dashboard")" -ge 20 ] || fail "the dashboard is empty"
[ "$(jq '[.panels[].id] | length - (unique | length)' "$dashboard")" = 0 ] || fail "two panels have one id"

# alerts_come_when_they_should
cat >rules-test.yml <<'END'
rule_files: [prometheus-rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job="zslot", instance="a"}', values: '1 1 0x60'}
      - {series: 'up{job="zslot", instance="b"}', values: '1x60'}
      - {series: 'zslot_failed_reads_total{job="zslot", instance="a"}', values: '0 0 1x60'}
      - {series: 'zslot_failed_reads_total{job="zslot", instance="b"}', values: '0x60'}
      - {series: 'zslot_backing_state{job="zslot", instance="a", state="away"}', values: '0 1x60'}
      - {series: 'zslot_backing_state{job="zslot", instance="a", state="ok"}', values: '1 0x60'}
      - {series: 'zslot_backing_state{job="zslot", instance="b", state="none"}', values: '1x60'}
      - {series: 'zslot_mem_used_bytes{job="zslot", instance="b"}', values: '97x60'}
      - {series: 'zslot_mem_limit_bytes{job="zslot", instance="b"}', values: '100x60'}
      - {series: 'zslot_mem_used_bytes{job="zslot", instance="c"}', values: '97x60'}
      - {series: 'zslot_mem_limit_bytes{job="zslot", instance="c"}', values: '0x60'}
      - {series: 'zslot_backing_state{job="zslot", instance="c", state="none"}', values: '1x60'}
      - {series: 'zslot_bd_free_bytes{job="zslot", instance="a"}', values: '4x60'}
      - {series: 'zslot_bd_live_bytes{job="zslot", instance="a"}', values: '96x60'}
      - {series: 'zslot_bd_free_bytes{job="zslot", instance="b"}', values: '0x60'}
      - {series: 'zslot_bd_live_bytes{job="zslot", instance="b"}', values: '0x60'}
      - {series: 'zslot_read_latency_seconds_bucket{job="zslot", instance="a", source="backing", le="0.05"}', values: '0+1x60'}
      - {series: 'zslot_read_latency_seconds_bucket{job="zslot", instance="a", source="backing", le="1"}', values: '0+100x60'}
      - {series: 'zslot_read_latency_seconds_bucket{job="zslot", instance="a", source="backing", le="+Inf"}', values: '0+100x60'}
    promql_expr_test:
      - expr: count by (alertname, instance) (ALERTS{alertstate="firing"})
        eval_time: 8m
        exp_samples:
          - {labels: '{alertname="ZslotDown", instance="a"}', value: 1}
          - {labels: '{alertname="ZslotReadErrors", instance="a"}', value: 1}
          - {labels: '{alertname="ZslotBackingStoreGone", instance="a"}', value: 1}
          - {labels: '{alertname="ZslotMemoryNearlyFull", instance="b"}', value: 1}
      - expr: count by (alertname, instance) (ALERTS{alertstate="firing", alertname=~".*(Slow|StoreNearly).*"})
        eval_time: 30m
        exp_samples:
          - {labels: '{alertname="ZslotSlowFetches", instance="a"}', value: 1}
          - {labels: '{alertname="ZslotBackingStoreNearlyFull", instance="a"}', value: 1}
END
promtool test rules rules-test.yml >said 2>&1 || fail "$(cat said)"

# a_prometheus_with_this_configuration_answers_every_question_of_the_dashboard
command -v prometheus >/dev/null || { echo "there is no prometheus to ask"; exit 0; }
prometheus_port=$(unused_port)
sed -i "s/127\.0\.0\.1:9810/127.0.0.1:$port/; s/scrape_interval: .*/scrape_interval: 1s/" prometheus.yml
prometheus --config.file=prometheus.yml --storage.tsdb.path=tsdb --web.listen-address="127.0.0.1:$prometheus_port" \
    >prometheus.log 2>&1 &
servers+=($!)
# query EXPRESSION: the answer, as JSON
query() {
    curl -sS --get --data-urlencode "query=$1" "http://127.0.0.1:$prometheus_port/api/v1/query"
}
has_samples() {
    [ "$(query "count_over_time(zslot_disk_bytes[5m]) > 3" 2>/dev/null | jq '.data.result | length' 2>/dev/null)" = 1 ]
}
until_true 60 has_samples || fail "prometheus does not scrape: $(tail -n 5 prometheus.log)"
asked=0
while IFS= read -r expression; do
    expression=${expression//\$__rate_interval/1m}
    expression=${expression//\$__range/5m}
    expression=${expression//\$job/.+}
    expression=${expression//\$instance/.+}
    said=$(query "$expression")
    [ "$(jq -r .status <<<"$said")" = success ] || fail "$expression: $said"
    [ "$(jq '.data.result | length' <<<"$said")" -gt 0 ] || fail "$expression: no answer"
    asked=$((asked + 1))
done < <(jq -r '.panels[].targets[].expr' "$dashboard")
[ "$asked" -ge 20 ] || fail "only $asked questions"
[ "$(query 'ALERTS{alertstate="firing"}' | jq -c .data.result)" = '[]' ] ||
    fail "an alert of a server that is well: $(query 'ALERTS' | jq -c .data.result)"
