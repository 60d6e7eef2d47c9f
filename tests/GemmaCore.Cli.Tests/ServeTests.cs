using System.Text.RegularExpressions;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

public sealed class ServeTests
{
    [Theory]
    [InlineData("--host 0.0.0.0", "--api-key")]
    [InlineData("--host nowhere.example", "an IP address or localhost")]
    [InlineData("--port 70000", "from 0 to 65535")]
    [InlineData("--adapter few", "expected NAME=DIR")]
    [InlineData("--adapter a=x --adapter a=y", "another adapter of that name")]
    [InlineData("--max-sequences 0", "at least 1")]
    [InlineData("--allow-image-host https://images.example", "expected a host name")]
    [InlineData("--fetch-seconds 0", "more than nothing")]
    [InlineData("--api-keys x", "did you mean '--api-key'?")]
    public void Unsafe_and_senseless_options_are_refused_before_the_model_is_loaded(string options, string complaint)
    {
        Finished finished = GemmacoreProcess.Run(["serve", "demo", .. options.Split(' ')]).Expect(2);
        Assert.Contains(complaint, finished.Error, StringComparison.Ordinal);
        Assert.Single(finished.Error.Split('\n'));
        Assert.DoesNotContain("(Parameter", finished.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_that_cannot_be_chosen_is_refused_with_the_way_out()
    {
        Finished finished = GemmacoreProcess.Run("serve", "demo", "--port", "0", "--adapter", "dora=" + Goldens.Path("adapters/dora_r4")).Expect(1);
        Assert.Contains("gemmacore merge", finished.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_asks_for_its_key_answers_and_keeps_questions_out_of_its_log()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder.File("keys"), "secret-key\n", TestContext.Current.CancellationToken);
        using GemmacoreProcess process = GemmacoreProcess.StartInterruptible(folder.Path, "serve", "demo", "--port", "0", "--api-key-file", folder.File("keys"));
        Assert.True(process.WaitForLines("serving demo", 1));
        using var client = new HttpClient { BaseAddress = new Uri(Regex.Match(process.ErrorSoFar, @"http://[\d.:]+").Value) };
        async Task<int> Ask(string? key)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/chat/completions", UriKind.Relative));
            request.Content = new StringContent("""{"messages":[{"role":"user","content":"my-private-question"}],"max_tokens":2}""", System.Text.Encoding.UTF8, "application/json");
            if (key is not null) request.Headers.Authorization = new("Bearer", key);
            using HttpResponseMessage response = await client.SendAsync(request, TestContext.Current.CancellationToken);
            return (int)response.StatusCode;
        }

        Assert.Equal((401, 401, 200), (await Ask(null), await Ask("wrong-key"), await Ask("secret-key")));
        process.Interrupt();
        string log = process.WaitForEnd().Expect(0).Error;
        Assert.Contains("POST /v1/chat/completions 200", log, StringComparison.Ordinal);
        foreach (string hidden in (string[])["my-private-question", "secret-key", "wrong-key"]) Assert.DoesNotContain(hidden, log, StringComparison.Ordinal);
    }
}
