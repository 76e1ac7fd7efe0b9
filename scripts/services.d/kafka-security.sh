# shellcheck shell=bash
# What KAFKA_TLS adds to the broker: a listener with TLS and SCRAM, one with TLS and client certificates, and access
# control. The listener without any of it stays, and who comes through it may do everything.

kafka_is_secured() { [[ -n $(setting KAFKA_TLS kafka '') ]]; }

kafka_secured_port_names() {
  if kafka_is_secured; then echo sasl_ssl_port ssl_port; fi
}

kafka_secured_port() { cat "$STATE/kafka/$1_port"; } # sasl_ssl | ssl

# Advertised by name: certificates are made for names.
kafka_secured_env() {
  kafka_is_secured || return 0
  printf '%s\n' \
    "KAFKA_SASL_SSL_BROKERS=localhost:$(kafka_secured_port sasl_ssl)" \
    "KAFKA_SSL_BROKERS=localhost:$(kafka_secured_port ssl)"
}

kafka_secured_listeners() {
  kafka_is_secured || return 0
  printf ',SASL_SSL://%s,SSL://%s' "$1:$(kafka_secured_port sasl_ssl)" "$1:$(kafka_secured_port ssl)"
}

kafka_secured_properties() {
  local tls mechanism
  kafka_is_secured || return 0
  tls=$(realpath -m -- "$(setting KAFKA_TLS kafka '')")
  printf '%s\n' \
    ssl.keystore.type=PEM "ssl.keystore.location=$tls/server.pem" \
    ssl.truststore.type=PEM "ssl.truststore.location=$tls/authority.pem" \
    listener.name.ssl.ssl.client.auth=required \
    sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512 \
    authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer \
    super.users=User:ANONYMOUS
  for mechanism in scram-sha-256 scram-sha-512; do
    printf '%s\n' "listener.name.sasl_ssl.$mechanism.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;"
  done
}

# Options for the formatting, one a line: where users are made before there is a broker to ask.
kafka_user_options() {
  local user mechanism
  for user in $(setting KAFKA_USERS kafka ''); do
    for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do
      printf '%s\n' --add-scram "$mechanism=[name=${user%%:*},password=${user#*:}]"
    done
  done
}
