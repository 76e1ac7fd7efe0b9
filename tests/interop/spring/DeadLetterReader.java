import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.listener.ContainerProperties.AckMode;
import org.springframework.kafka.support.KafkaHeaders;
import org.springframework.messaging.handler.annotation.Header;
import org.springframework.messaging.handler.annotation.Payload;

/**
 * Listens to a topic of dead letters as a Spring application does, and prints what the first one says in the types that
 * Spring documents for its headers. System properties: brokers, topic.
 */
@EnableKafka
@Configuration(proxyBeanMethods = false)
public class DeadLetterReader {
  private static final CountDownLatch READ = new CountDownLatch(1);

  public static void main(String[] arguments) throws InterruptedException {
    boolean read;
    try (var context = new AnnotationConfigApplicationContext(DeadLetterReader.class)) {
      read = READ.await(60, TimeUnit.SECONDS);
    }
    System.exit(read ? 0 : 1);
  }

  @Bean
  ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory() {
    var factory = new ConcurrentKafkaListenerContainerFactory<String, String>();
    factory.setConsumerFactory(
        new DefaultKafkaConsumerFactory<>(
            Map.of(
                "bootstrap.servers", System.getProperty("brokers"),
                "auto.offset.reset", "earliest",
                "enable.auto.commit", false,
                "isolation.level", "read_committed"),
            new StringDeserializer(),
            new StringDeserializer()));
    // Nothing is acknowledged, so that nothing is left of the group.
    factory.getContainerProperties().setAckMode(AckMode.MANUAL);
    return factory;
  }

  @KafkaListener(topics = "#{systemProperties['topic']}", groupId = "#{systemProperties['topic']}.spring")
  void listen(
      @Payload String value,
      @Header(KafkaHeaders.RECEIVED_KEY) String key,
      @Header(KafkaHeaders.DLT_ORIGINAL_TOPIC) String topic,
      @Header(KafkaHeaders.DLT_ORIGINAL_PARTITION) int partition,
      @Header(KafkaHeaders.DLT_ORIGINAL_OFFSET) long offset,
      @Header(KafkaHeaders.DLT_ORIGINAL_TIMESTAMP) long timestamp,
      @Header(KafkaHeaders.DLT_ORIGINAL_TIMESTAMP_TYPE) String timestampType,
      @Header(KafkaHeaders.DLT_ORIGINAL_CONSUMER_GROUP) String group,
      @Header(KafkaHeaders.DLT_EXCEPTION_FQCN) String exception,
      @Header(KafkaHeaders.DLT_EXCEPTION_MESSAGE) String message,
      @Header(KafkaHeaders.DLT_EXCEPTION_STACKTRACE) String stackTrace) {
    if (READ.getCount() == 0) {
      return;
    }
    say("value", value);
    say("key", key);
    say("topic", topic);
    say("partition", partition);
    say("offset", offset);
    say("timestamp", timestamp);
    say("timestamp-type", timestampType);
    say("group", group);
    say("exception", exception);
    say("message", message);
    say("stack-trace", stackTrace);
    READ.countDown();
  }

  private static void say(String name, Object value) {
    System.out.println(name + "=" + value.toString().replace("\\", "\\\\").replace("\n", "\\n"));
  }
}
