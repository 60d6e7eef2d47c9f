using System.Net;
using System.Text;
using System.Text.Json;
using GemmaCore.Testing;

namespace GemmaCore.Server.Tests;

/// <summary>Adapters loaded and unloaded while the server answers, and what must not be reached that way.</summary>
public sealed class AdapterRouteTests : IAsyncLifetime
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "gemmacore-adapters-" + Guid.NewGuid().ToString("N"));
    private RunningServer _server = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Root => Path.Combine(_folder, "root");

    public async ValueTask InitializeAsync()
    {
        Copy("qv_list_r4", Path.Combine(Root, "cells"));
        Copy("text_only_r4_rslora", Path.Combine(Root, "team", "bones.v2"));
        Copy("dora_r4", Path.Combine(Root, "dora"));
        Copy("qv_list_r4", Path.Combine(_folder, "outside"));
        Copy("qv_list_r4", Path.Combine(_folder, "root-beside"));
        Directory.CreateDirectory(Path.Combine(Root, "broken"));
        await File.WriteAllTextAsync(Path.Combine(Root, "broken", "adapter_config.json"), "{", Token);
        await File.WriteAllTextAsync(Path.Combine(Root, "broken", "adapter_model.safetensors"), "x", Token);
        _server = await RunningServer.StartAsync(new ServerOptions { AdapterRoots = [Root], MaxAdapters = 3 });
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task An_adapter_that_is_loaded_answers_as_one_that_was_there_from_the_start()
    {
        Assert.Equal((HttpStatusCode.NotFound, "model_not_found"), await CodeAsync("/v1/completions", "{\"model\":\"cells\",\"prompt\":\"x\"}"));
        Assert.Equal("Success: LoRA adapter 'cells' added successfully.", await SuccessAsync("/v1/load_lora_adapter", "{\"lora_name\":\"cells\"}"));
        Assert.Equal(await LogprobsAsync(RunningServer.AdapterName), await LogprobsAsync("cells"));
        Assert.NotEqual(await LogprobsAsync("demo"), await LogprobsAsync("cells"));
        Assert.Equal((HttpStatusCode.BadRequest, "adapter_exists"), await CodeAsync("/v1/load_lora_adapter", "{\"lora_name\":\"cells\"}"));
        Assert.Contains("\"cells\"", await _server.Client.GetStringAsync(new Uri("/v1/models", UriKind.Relative), Token), StringComparison.Ordinal);

        Assert.Equal("Success: LoRA adapter 'cells' removed successfully.", await SuccessAsync("/v1/unload_lora_adapter", "{\"lora_name\":\"cells\"}"));
        Assert.Equal((HttpStatusCode.NotFound, "model_not_found"), await CodeAsync("/v1/completions", "{\"model\":\"cells\",\"prompt\":\"x\"}"));
        Assert.Equal((HttpStatusCode.NotFound, "adapter_not_found"), await CodeAsync("/v1/unload_lora_adapter", "{\"lora_name\":\"cells\"}"));
        await GoneAsync(1);
        // The same name, another adapter: nothing that was computed for the first is left.
        await SuccessAsync("/v1/load_lora_adapter", "{\"lora_name\":\"cells\",\"lora_path\":\"team/bones.v2\"}");
        Assert.NotEqual(await LogprobsAsync(RunningServer.AdapterName), await LogprobsAsync("cells"));
    }

    [Fact]
    public async Task One_that_is_unloaded_finishes_what_is_under_way()
    {
        const string body = "{\"model\":\"cells\",\"prompt\":\"The lesion\",\"max_tokens\":400,\"ignore_eos\":true,\"temperature\":0}";
        await SuccessAsync("/v1/load_lora_adapter", "{\"lora_name\":\"cells\"}");
        (_, JsonElement whole) = await _server.PostAsync("/v1/completions", body);
        Task<(HttpStatusCode Status, JsonElement Body)> underWay = _server.PostAsync("/v1/completions", body);
        while (_server.Served.Loop.Status.Running == 0 && !underWay.IsCompleted) await Task.Delay(1, Token);
        await SuccessAsync("/v1/unload_lora_adapter", "{\"lora_name\":\"cells\"}");
        Assert.False(underWay.IsCompleted, "the answer was over before its adapter was unloaded");
        Assert.Equal(2, _server.Served.Model.Adapters.Count);
        (HttpStatusCode status, JsonElement reply) = await underWay;
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(TextOf(whole), TextOf(reply));
        await GoneAsync(1);
        Assert.Null(_server.Served.Loop.Fault);
    }

    // Whoever may ask may not change what others are answered with.
    [Theory]
    [InlineData(null, 401, 401)]
    [InlineData("wrong", 401, 401)]
    [InlineData("user", 200, 403)]
    [InlineData("admin", 200, 200)]
    public async Task An_admin_key_is_asked_for_where_there_is_one(string? key, int answers, int loads)
    {
        await using RunningServer guarded = await RunningServer.StartAsync(new ServerOptions { AdapterRoots = [Root], ApiKeys = ["user"], AdminKeys = ["admin"] });
        guarded.Client.DefaultRequestHeaders.Authorization = key is null ? null : new System.Net.Http.Headers.AuthenticationHeaderValue("Bearer", key);
        Assert.Equal(answers, await StatusAsync("/v1/completions", "{\"prompt\":\"x\",\"max_tokens\":1}"));
        foreach (string path in (string[])["/v1/load_lora_adapter", "/V1/LOAD_LORA_ADAPTER/"])
        {
            Assert.Equal(loads, await StatusAsync(path, "{\"lora_name\":\"cells\"}"));
            Assert.Equal(loads, await StatusAsync("/v1/unload_lora_adapter", "{\"lora_name\":\"cells\"}"));
        }

        async Task<int> StatusAsync(string path, string body)
        {
            using var content = new StringContent(body, Encoding.UTF8, "application/json");
            using HttpResponseMessage response = await guarded.Client.PostAsync(new Uri(path, UriKind.Relative), content, Token);
            return (int)response.StatusCode;
        }
    }

    [Fact]
    public async Task There_may_be_only_so_many()
    {
        await SuccessAsync("/v1/load_lora_adapter", "{\"lora_name\":\"a\",\"lora_path\":\"cells\"}");
        await SuccessAsync("/v1/load_lora_adapter", "{\"lora_name\":\"b\",\"lora_path\":\"cells\"}");
        Assert.Equal((HttpStatusCode.BadRequest, "too_many_adapters"), await CodeAsync("/v1/load_lora_adapter", "{\"lora_name\":\"c\",\"lora_path\":\"cells\"}"));
        await SuccessAsync("/v1/unload_lora_adapter", "{\"lora_name\":\"a\"}");
        await GoneAsync(2);
        await SuccessAsync("/v1/load_lora_adapter", "{\"lora_name\":\"c\",\"lora_path\":\"cells\"}");
    }

    [Fact]
    public async Task Loading_and_unloading_under_load_harms_nobody()
    {
        double[] expected = await LogprobsAsync(RunningServer.AdapterName);
        Task<double[]>[] others = [.. Enumerable.Range(0, 12).Select(_ => LogprobsAsync(RunningServer.AdapterName))];
        for (int i = 0; i < 8; i++)
        {
            await SuccessAsync("/v1/load_lora_adapter", $"{{\"lora_name\":\"x{i}\",\"lora_path\":\"cells\"}}");
            Task<double[]> mine = LogprobsAsync($"x{i}");
            Assert.Equal(expected, await mine);
            await SuccessAsync("/v1/unload_lora_adapter", $"{{\"lora_name\":\"x{i}\"}}");
            await GoneAsync(1);
        }

        foreach (double[] other in await Task.WhenAll(others)) Assert.Equal(expected, other);
    }

    // CVE-2024-37032 and dynamic loading by path: nothing outside the roots is ever opened.
    [Theory]
    [InlineData("../outside")]
    [InlineData("..")]
    [InlineData("cells/../../outside")]
    [InlineData("cells/..%2f..%2foutside")]
    [InlineData("..\\outside")]
    [InlineData("./cells")]
    [InlineData("cells/")]
    [InlineData("/etc")]
    [InlineData("OUTSIDE")]
    [InlineData("~/outside")]
    [InlineData("file:///etc")]
    [InlineData("")]
    [InlineData("cells\u0000")]
    [InlineData("root-beside")]
    [InlineData("../root-beside")]
    [InlineData("link-out")]
    [InlineData("link-file")]
    [InlineData("link-circle")]
    [InlineData("link-root")]
    [InlineData("linked-team/bones.v2")]
    public async Task Path_traversal(string path)
    {
        Directory.CreateSymbolicLink(Path.Combine(Root, "link-out"), Path.Combine("..", "outside"));
        Directory.CreateSymbolicLink(Path.Combine(Root, "link-circle"), "link-circle");
        Directory.CreateSymbolicLink(Path.Combine(Root, "link-root"), "/");
        Directory.CreateSymbolicLink(Path.Combine(Root, "linked-team"), _folder + "/outside/..");
        Directory.CreateDirectory(Path.Combine(Root, "link-file"));
        File.Copy(Goldens.Path("adapters/qv_list_r4/adapter_config.json"), Path.Combine(Root, "link-file", "adapter_config.json"));
        File.CreateSymbolicLink(Path.Combine(Root, "link-file", "adapter_model.safetensors"), Path.Combine(_folder, "outside", "adapter_model.safetensors"));
        path = path.Replace("OUTSIDE", Path.Combine(_folder, "outside"), StringComparison.Ordinal);
        (HttpStatusCode status, JsonElement reply) = await _server.PostAsync("/v1/load_lora_adapter", $"{{\"lora_name\":\"x\",\"lora_path\":{JsonSerializer.Serialize(path)}}}");
        JsonElement error = reply.GetProperty("error");
        Assert.Equal((HttpStatusCode.BadRequest, "lora_path", "adapter_not_found"), (status, error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
        Assert.Single(_server.Served.Model.Adapters);
    }

    [Fact]
    public async Task A_link_that_stays_below_the_root_is_followed()
    {
        Directory.CreateSymbolicLink(Path.Combine(Root, "latest"), Path.Combine("team", "bones.v2"));
        await SuccessAsync("/v1/load_lora_adapter", "{\"lora_name\":\"latest\"}");
    }

    [Theory]
    [InlineData("{\"lora_name\":\"broken\"}", "lora_path", "invalid_adapter")]
    [InlineData("{\"lora_name\":\"dora\"}", "lora_path", "invalid_adapter")]
    [InlineData("{\"lora_name\":\"team\"}", "lora_path", "invalid_adapter")]
    [InlineData("{\"lora_name\":\"demo\",\"lora_path\":\"cells\"}", "lora_name", "adapter_exists")]
    [InlineData("{\"lora_name\":\"few\",\"lora_path\":\"cells\"}", "lora_name", "adapter_exists")]
    [InlineData("{\"lora_name\":\"a b\"}", "lora_name", "invalid_value")]
    [InlineData("{\"lora_name\":\"\"}", "lora_name", "invalid_value")]
    [InlineData("{}", "lora_name", "missing_required_parameter")]
    [InlineData("{\"lora_name\":\"cells\",\"load_inplace\":true}", "load_inplace", "unknown_parameter")]
    public async Task What_cannot_be_loaded_is_refused_without_a_word_of_where_it_lies(string body, string param, string code)
    {
        (HttpStatusCode status, JsonElement reply) = await _server.PostAsync("/v1/load_lora_adapter", body);
        JsonElement error = reply.GetProperty("error");
        Assert.Equal((HttpStatusCode.BadRequest, param, code), (status, error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
        Assert.DoesNotContain(Path.GetTempPath(), error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain(Root, error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    // Weights that overflow in the products: not the fault of who asks, who is told no more than that and may try again; the log and the count say what happened.
    [Theory]
    [InlineData("/v1/chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]")]
    [InlineData("/v1/chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"logprobs\":true")]
    [InlineData("/v1/classify", "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"labels\":[\"A\",\"B\"]")]
    [InlineData("/v1/embeddings", "\"input\":\"x\"")]
    public async Task An_answer_that_is_no_number_is_an_error_of_the_server(string route, string fields)
    {
        string folder = Path.Combine(Root, "huge"), weights = Path.Combine(folder, "adapter_model.safetensors");
        Copy("qv_list_r4", folder);
        byte[] bytes = await File.ReadAllBytesAsync(weights, Token);
        bytes.AsSpan(8 + BitConverter.ToInt32(bytes)).Fill(0x7e);
        await File.WriteAllBytesAsync(weights, bytes, Token);
        await SuccessAsync("/v1/load_lora_adapter", "{\"lora_name\":\"huge\"}");
        (HttpStatusCode status, JsonElement reply) = await _server.PostAsync(route, $"{{\"model\":\"huge\",{fields}}}");
        JsonElement error = reply.GetProperty("error");
        Assert.Equal((HttpStatusCode.InternalServerError, "server_error", "internal_error"), (status, error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
        Assert.DoesNotContain("gemmacore", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("vllm:request_failure_total{model_name=\"demo\",engine=\"0\"} 0\n", await _server.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token), StringComparison.Ordinal);
        Assert.NotEmpty(await LogprobsAsync("demo")); // the others are answered
    }

    private static void Copy(string adapter, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.EnumerateFiles(Goldens.Path("adapters/" + adapter))) File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }

    private static string TextOf(JsonElement reply) => reply.GetProperty("choices")[0].GetProperty("text").GetString()!;

    private async Task<string> SuccessAsync(string path, string body)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await _server.Client.PostAsync(new Uri(path, UriKind.Relative), content, Token);
        string text = await response.Content.ReadAsStringAsync(Token);
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return text;
    }

    private async Task<(HttpStatusCode Status, string? Code)> CodeAsync(string path, string body)
    {
        (HttpStatusCode status, JsonElement reply) = await _server.PostAsync(path, body);
        return (status, reply.GetProperty("error").GetProperty("code").GetString());
    }

    private async Task<double[]> LogprobsAsync(string model)
    {
        (HttpStatusCode status, JsonElement reply) = await _server.PostAsync("/v1/completions", $"{{\"model\":\"{model}\",\"prompt\":\"The lesion\",\"max_tokens\":6,\"ignore_eos\":true,\"temperature\":0,\"logprobs\":0}}");
        Assert.True(status == HttpStatusCode.OK, reply.ToString());
        return [.. reply.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("token_logprobs").EnumerateArray().Select(value => value.GetDouble())];
    }

    private async Task GoneAsync(int left)
    {
        for (int i = 0; i < 200 && _server.Served.Model.Adapters.Count != left; i++) await Task.Delay(20, Token);
        Assert.Equal(left, _server.Served.Model.Adapters.Count);
    }
}
