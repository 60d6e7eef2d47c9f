using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace GemmaCore.Server.Tests;

/// <summary>What vLLM's dashboards, autoscalers and gateways read, under its names and meaning what it means there.</summary>
public sealed class MetricsTests
{
    private const string Long = "{\"model\":\"MODEL\",\"prompt\":\"The lesion\",\"max_tokens\":3000,\"ignore_eos\":true}";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    // ../shared/spec/serving.md, 3.6: as they are called on the wire.
    [Theory]
    [InlineData("gauge", "num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "lora_requests_info", "cache_config_info")]
    [InlineData("counter", "prefix_cache_queries_total", "prefix_cache_hits_total", "num_preemptions_total", "prompt_tokens_total", "generation_tokens_total", "request_success_total")]
    [InlineData(
        "histogram", "time_to_first_token_seconds", "time_per_output_token_seconds", "inter_token_latency_seconds", "request_time_per_output_token_seconds", "e2e_request_latency_seconds",
        "request_queue_time_seconds", "request_inference_time_seconds", "request_prefill_time_seconds", "request_decode_time_seconds", "request_prompt_tokens", "request_generation_tokens",
        "iteration_tokens_total", "request_params_n", "request_params_max_tokens")]
    public async Task Every_metric_has_its_name_of_ours_and_of_vllm(string type, params string[] names)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        string metrics = await ReadAsync(server);
        foreach (string name in names)
            foreach (string prefix in (string[])["gemmacore_", "vllm:"]) Assert.Contains($"# TYPE {prefix}{name} {type}\n", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_pause_between_tokens_counts_and_every_token_of_a_step()
    {
        await using RunningServer server = await RunningServer.StartAsync(new ServerOptions { PrefixCache = false });
        (_, JsonElement reply) = await server.PostAsync("/v1/completions", "{\"prompt\":\"The lesion\",\"max_tokens\":6,\"n\":2,\"ignore_eos\":true}");
        int prompt = reply.GetProperty("usage").GetProperty("prompt_tokens").GetInt32();
        await UntilAsync(server, "iteration_tokens_total_sum", 2 * (prompt + 5));
        string metrics = await UntilAsync(server, "request_generation_tokens_count", 2);
        Assert.Equal((10, 10, 2), (Number(metrics, "inter_token_latency_seconds_count"), Number(metrics, "time_per_output_token_seconds_count"), Number(metrics, "request_time_per_output_token_seconds_count")));
        // The last token of an answer is chosen and goes nowhere.
        Assert.Equal((2 * (prompt + 5), Number(metrics, "steps_total")), (Number(metrics, "iteration_tokens_total_sum"), Number(metrics, "iteration_tokens_total_count")));
        Assert.Equal((2 * prompt, 12), (Number(metrics, "prompt_tokens_total"), Number(metrics, "generation_tokens_total")));
        await server.PostAsync("/v1/classify", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"labels\":[\"A\",\"A cyst\"]}");
        Assert.Equal(12, Number(await ReadAsync(server), "generation_tokens_total")); // labels are nobody's answer
    }

    // A model that stands still and one that answers at length look alike when tokens count at the end.
    [Fact]
    public async Task Tokens_count_as_they_come_and_adapters_wait_or_run()
    {
        await using RunningServer server = await RunningServer.StartAsync(new ServerOptions { MaxSequences = 1 });
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task first = AskAsync(server, RunningServer.ModelName, leaving.Token);
        string metrics = await UntilAsync(server, "generation_tokens_total", 1);
        Assert.Equal((1, 0), (Number(metrics, "num_requests_running"), Number(metrics, "request_generation_tokens_count")));
        Task second = AskAsync(server, RunningServer.AdapterName, leaving.Token);
        metrics = await UntilAsync(server, "num_requests_waiting", 1);
        Assert.Contains($"vllm:lora_requests_info{{max_lora=\"1\",waiting_lora_adapters=\"{RunningServer.AdapterName}\",running_lora_adapters=\"\"}} ", metrics, StringComparison.Ordinal);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);

        using var again = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task third = AskAsync(server, RunningServer.AdapterName, again.Token);
        await UntilAsync(server, "num_requests_waiting", 0);
        metrics = await UntilAsync(server, "num_requests_running", 1);
        Assert.Contains($"waiting_lora_adapters=\"\",running_lora_adapters=\"{RunningServer.AdapterName}\"}} ", metrics, StringComparison.Ordinal);
        await again.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => third);
    }

    private static async Task AskAsync(RunningServer server, string model, CancellationToken leaving)
    {
        using var body = new StringContent(Long.Replace("MODEL", model, StringComparison.Ordinal), new System.Net.Http.Headers.MediaTypeHeaderValue("application/json"));
        using HttpResponseMessage response = await server.Client.PostAsync(new Uri("/v1/completions", UriKind.Relative), body, leaving);
    }

    private static Task<string> ReadAsync(RunningServer server) => server.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);

    // At least so many; or none, for 0.
    private static async Task<string> UntilAsync(RunningServer server, string name, int count)
    {
        string metrics = await ReadAsync(server);
        for (int i = 0; i < 1000 && !(count == 0 ? Number(metrics, name) == 0 : Number(metrics, name) >= count); i++)
        {
            await Task.Delay(10, Token);
            metrics = await ReadAsync(server);
        }

        return metrics;
    }

    private static int Number(string metrics, string name)
    {
        int[] numbers = [.. ((string[])["vllm:", "gemmacore_"]).Select(prefix => int.Parse(Regex.Match(metrics, $"^{prefix}{name}{{[^}}]*}} (\\d+)$", RegexOptions.Multiline).Groups[1].Value, CultureInfo.InvariantCulture))];
        return Assert.Single(numbers.Distinct());
    }
}
