using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using GemmaCore.Extensions.AI;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.Medical;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GemmaCore.Server.Tests;

/// <summary>The server's routes and its model within somebody else's application.</summary>
public sealed class HostingTests
{
    private const string Question = """{"messages":[{"role":"user","content":"What is a lesion?"}],"max_tokens":4,"temperature":0}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_application_answers_over_http_and_through_its_chat_client_with_one_model()
    {
        await using Application application = await Application.StartAsync(_ => { }, app => app.MapGemmaCoreOpenAI());
        (HttpStatusCode status, JsonElement body) = await application.PostAsync("/v1/chat/completions", Question);
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("phantom", body.GetProperty("model").GetString());

        IChatClient client = application.Services.GetRequiredService<IChatClient>();
        ChatResponse response = await client.GetResponseAsync("What is a lesion?", new ChatOptions { MaxOutputTokens = 4, Temperature = 0 }, Token);
        Assert.Equal(body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), response.Text);
        Assert.Same(client, application.Services.GetRequiredService<GemmaChatClient>());
        ChatResponse adapted = await client.GetResponseAsync("What is a lesion?", new ChatOptions { MaxOutputTokens = 4, ModelId = RunningServer.AdapterName }, Token);
        Assert.Equal(RunningServer.AdapterName, adapted.ModelId);

        Embedding<float> text = await application.Services.GetRequiredService<IEmbeddingGenerator<string, Embedding<float>>>().GenerateAsync("A lesion.", cancellationToken: Token);
        DataContent picture = new(await File.ReadAllBytesAsync(RunningServer.Picture("colon"), Token), "image/jpeg");
        Embedding<float> image = await application.Services.GetRequiredService<IEmbeddingGenerator<DataContent, Embedding<float>>>().GenerateAsync(picture, cancellationToken: Token);
        Assert.Equal((128, 128), (text.Dimensions, image.Dimensions));
        string models = await application.Client.GetStringAsync(new Uri("/v1/models", UriKind.Relative), Token);
        Assert.Equal(["phantom", RunningServer.AdapterName], JsonDocument.Parse(models).RootElement.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()!));
        Assert.Equal(HttpStatusCode.OK, (await application.Client.GetAsync(new Uri("/health/ready", UriKind.Relative), Token)).StatusCode);
        Assert.Contains("vllm:request_success_total", await application.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Under_a_prefix_the_application_keeps_its_own_routes()
    {
        await using Application application = await Application.StartAsync(_ => { }, app =>
        {
            app.MapGet("/metrics", () => "mine");
            app.MapGemmaCoreOpenAI("/gemma");
            app.MapGemmaCorePage("/gemma");
        });
        // The page finds the API beside it; without the slash it would look a folder higher.
        using HttpResponseMessage page = await application.Client.GetAsync(new Uri("/gemma", UriKind.Relative), Token);
        Assert.Equal(("text/html", "/gemma/"), (page.Content.Headers.ContentType!.MediaType, page.RequestMessage!.RequestUri!.AbsolutePath));
        Assert.Equal("mine", await application.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token));
        Assert.Equal(HttpStatusCode.OK, (await application.PostAsync("/gemma/v1/chat/completions", Question)).Status);
        using HttpResponseMessage elsewhere = await application.Client.GetAsync(new Uri("/v1/models", UriKind.Relative), Token);
        // What is not ours is not answered by us.
        Assert.Equal((HttpStatusCode.NotFound, 0L), (elsewhere.StatusCode, elsewhere.Content.Headers.ContentLength));
    }

    [Fact]
    public async Task Pictures_are_padded_where_the_application_says_so_and_the_page_knows()
    {
        await using Application application = await Application.StartAsync(options => options.PadPictures = true, app =>
        {
            app.MapGemmaCoreOpenAI();
            app.MapGemmaCorePage();
        });
        RgbImage wide = ImageDecoder.Decode(ImageSource.FromFile(Goldens.Path("images/photo_100x60.bmp"))), square = wide.PaddedToSquare();
        async Task<string> Vector(RgbImage picture)
        {
            string url = $"data:application/dicom;base64,{Convert.ToBase64String(DicomWriter.Colour(picture.Width, picture.Height, picture.Pixels).File())}";
            (HttpStatusCode status, JsonElement body) = await application.PostAsync(
                "/v1/embeddings", $$$"""{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "{{{url}}}"}}]}]}""");
            Assert.Equal(HttpStatusCode.OK, status);
            return body.GetProperty("data")[0].GetProperty("embedding").GetRawText();
        }

        Assert.Equal(await Vector(square), await Vector(wide));
        Assert.Contains("<html lang=\"en\" data-padded>", await application.Client.GetStringAsync(new Uri("/", UriKind.Relative), Token), StringComparison.Ordinal);

        await using Application squashing = await Application.StartAsync(_ => { }, app => app.MapGemmaCorePage());
        Assert.Contains("<html lang=\"en\">", await squashing.Client.GetStringAsync(new Uri("/", UriKind.Relative), Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_limits_and_host_names_are_guarded_as_in_the_server()
    {
        await using Application application = await Application.StartAsync(
            options => options.Server = new ServerOptions { ApiKeys = ["secret"], MaxBodyBytes = 1024 }, app => app.MapGemmaCoreOpenAI());
        Assert.Equal(HttpStatusCode.Unauthorized, (await application.PostAsync("/v1/chat/completions", Question)).Status);
        Assert.Equal(HttpStatusCode.OK, (await application.Client.GetAsync(new Uri("/health/live", UriKind.Relative), Token)).StatusCode);
        application.Client.DefaultRequestHeaders.Authorization = new("Bearer", "secret");
        Assert.Equal(HttpStatusCode.OK, (await application.PostAsync("/v1/chat/completions", Question)).Status);
        (HttpStatusCode status, JsonElement body) = await application.PostAsync("/v1/chat/completions", Question + new string(' ', 2000));
        Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "too_large"), (status, body.GetProperty("error").GetProperty("code").GetString()));
        application.Client.DefaultRequestHeaders.Host = "rebound.example";
        (status, body) = await application.PostAsync("/v1/chat/completions", Question);
        Assert.Equal((HttpStatusCode.Forbidden, "host_not_allowed"), (status, body.GetProperty("error").GetProperty("code").GetString()));
    }

    [Theory]
    [InlineData("nothing", HttpStatusCode.Forbidden)]
    [InlineData("key", HttpStatusCode.Unauthorized)]
    [InlineData("insecure", HttpStatusCode.OK)]
    [InlineData("authorization", HttpStatusCode.OK)]
    public async Task Other_machines_are_answered_only_under_some_protection(string protection, HttpStatusCode expected)
    {
        await using Application application = await Application.StartAsync(
            options => options.Server = new ServerOptions { ApiKeys = protection == "key" ? ["secret"] : [], InsecureNoAuth = protection == "insecure" },
            app =>
            {
                app.Use((context, next) =>
                {
                    context.Connection.LocalIpAddress = IPAddress.Parse("192.0.2.1"); // as if it had come in by the network
                    return next(context);
                });
                var routes = app.MapGemmaCoreOpenAI();
                if (protection == "authorization") routes.RequireAuthorization(policy => policy.RequireAssertion(_ => true));
            });
        application.Client.DefaultRequestHeaders.Host = "models.example";
        (HttpStatusCode status, JsonElement body) = await application.PostAsync("/v1/chat/completions", Question);
        Assert.Equal(expected, status);
        if (status == HttpStatusCode.Forbidden) Assert.Contains("RequireAuthorization", body.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stopping_application_lets_answers_end_and_begins_none()
    {
        await using Application application = await Application.StartAsync(_ => { }, app => app.MapGemmaCoreOpenAI());
        ServedModel served = application.Services.GetRequiredService<ServedModel>();
        Task<(HttpStatusCode Status, JsonElement Body)> begun = application.PostAsync("/v1/completions", """{"prompt":"The lesion is","max_tokens":300,"ignore_eos":true}""");
        for (int i = 0; i < 1000 && served.Loop.Status.Running == 0; i++) await Task.Delay(10, Token);
        Task stopping = application.StopAsync();
        (HttpStatusCode status, JsonElement body) = await application.PostAsync("/v1/completions", """{"prompt":"x"}""");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "shutting_down"), (status, body.GetProperty("error").GetProperty("code").GetString()));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await application.Client.GetAsync(new Uri("/health/ready", UriKind.Relative), Token)).StatusCode);
        (status, body) = await begun;
        Assert.Equal((HttpStatusCode.OK, 300), (status, body.GetProperty("usage").GetProperty("completion_tokens").GetInt32()));
        await stopping;
        Assert.True(served.Loop.Completion.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Settings_that_cannot_work_stop_the_application_at_its_start_all_of_them_named()
    {
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
        builder.Services.AddGemmaCore(options =>
        {
            options.ModelPath = "/nowhere";
            options.Adapters["few"] = "/nowhere/either";
            options.Server = new ServerOptions { MaxChoices = 0 };
        });
        using IHost host = builder.Build();
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(Token));
        Assert.Equal(3, error.Failures.Count());
        Assert.Contains("ModelPath /nowhere: there is no such folder", error.Message, StringComparison.Ordinal);
        Assert.Contains("Adapters['few']", error.Message, StringComparison.Ordinal);
        Assert.Contains("MaxChoices", error.Message, StringComparison.Ordinal);
        await using WebApplication without = WebApplication.CreateSlimBuilder().Build();
        Assert.Contains("AddGemmaCore", Assert.Throws<InvalidOperationException>(() => without.MapGemmaCoreOpenAI()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Settings_come_from_configuration()
    {
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["GemmaCore:ModelPath"] = Goldens.DemoPath("model"), ["GemmaCore:ModelName"] = "configured", ["GemmaCore:Weights"] = "Int8", ["GemmaCore:Adapters:few"] = Goldens.Path(RunningServer.AdapterFolder),
            ["GemmaCore:Server:ApiKeys:0"] = "secret", ["GemmaCore:Server:MaxImages"] = "3",
        });
        builder.Services.Configure<GemmaCoreOptions>(builder.Configuration.GetSection("GemmaCore"));
        builder.Services.AddGemmaCore();
        using IHost host = builder.Build();
        await host.StartAsync(Token);
        ServedModel served = host.Services.GetRequiredService<ServedModel>();
        Assert.Equal(("configured", "few"), (served.Name, served.AdapterNames.Single()));
        Assert.Equal((3, "secret"), (served.Options.MaxImages, served.Options.ApiKeys.Single()));
        ChatOptions two = new() { MaxOutputTokens = 2, RawRepresentationFactory = _ => new SamplingParams { IgnoreEos = true } };
        Assert.Equal(2, (await host.Services.GetRequiredService<IChatClient>().GetResponseAsync("x", two, Token)).Usage!.OutputTokenCount);
        await host.StopAsync(Token);
    }

    /// <summary>A small ASP.NET application on a free port.</summary>
    private sealed class Application : IAsyncDisposable
    {
        private readonly WebApplication _web;

        private Application(WebApplication web)
        {
            _web = web;
            Client = new HttpClient { BaseAddress = new Uri(web.Urls.First()) };
        }

        public HttpClient Client { get; }

        public IServiceProvider Services => _web.Services;

        public static async Task<Application> StartAsync(Action<GemmaCoreOptions> configure, Action<WebApplication> map)
        {
            WebApplicationBuilder builder = WebApplication.CreateBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            builder.Services.AddAuthorization();
            builder.Services.AddGemmaCore(options =>
            {
                (options.ModelPath, options.ModelName, options.OpenDevice) = (Goldens.DemoPath("model"), "phantom", () => new CpuDevice(1));
                options.Adapters[RunningServer.AdapterName] = Goldens.Path(RunningServer.AdapterFolder);
                configure(options);
            });
            WebApplication web = builder.Build();
            map(web);
            await web.StartAsync(Token);
            return new Application(web);
        }

        public async Task<(HttpStatusCode Status, JsonElement Body)> PostAsync(string path, string json)
        {
            using var content = new StringContent(json, System.Text.Encoding.UTF8, "application/json");
            using HttpResponseMessage response = await Client.PostAsync(new Uri(path, UriKind.Relative), content, Token);
            return (response.StatusCode, await response.Content.ReadFromJsonAsync<JsonElement>(Token));
        }

        public Task StopAsync() => _web.StopAsync(Token);

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await _web.DisposeAsync();
        }
    }
}
