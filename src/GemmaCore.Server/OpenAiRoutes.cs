using GemmaCore.Server.Guards;
using GemmaCore.Server.Observability;
using GemmaCore.Server.OpenAi;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace GemmaCore.Server;

/// <summary>The server's routes, for its own application and for anybody else's.</summary>
internal static class OpenAiRoutes
{
    private delegate void Route(string pattern, RequestDelegate answer);

    /// <summary>Maps them, each behind the gate.</summary>
    public static void Map(IEndpointRouteBuilder routes, ServedModel served, ServingMetrics metrics, RequestGate gate)
    {
        ChatCompletionsApi chat = new(served, metrics);
        CompletionsApi completions = new(served, metrics);
        ClassifyApi classes = new(served, metrics);
        EmbeddingsApi embeddings = new(served, metrics);
        AdaptersApi adapters = new(served, new ApiKeyGuard(served.Options.ApiKeys, served.Options.AdminKeys));
        ModelsApi models = new(served);
        TokenizeApi tokens = new(served);
        PreviewApi previews = new(served);
        Route post = (pattern, answer) => MapOne(routes, gate, HttpMethods.Post, pattern, answer), get = (pattern, answer) => MapOne(routes, gate, HttpMethods.Get, pattern, answer);
        post("/v1/chat/completions", chat.HandleAsync);
        post("/v1/completions", completions.HandleAsync);
        post("/v1/classify", classes.HandleAsync);
        post("/v1/embeddings", embeddings.HandleAsync);
        if (served.LoadsAdapters)
        {
            post("/v1/load_lora_adapter", adapters.LoadAsync);
            post("/v1/unload_lora_adapter", adapters.UnloadAsync);
        }

        get("/v1/models", models.ListAsync);
        get("/v1/models/{**id}", models.GetAsync);
        post("/tokenize", tokens.TokenizeAsync);
        post("/detokenize", tokens.DetokenizeAsync);
        post("/preview", previews.ShowAsync);
        MapLive(routes, gate);
        get("/health/ready", context => ReadyAsync(context, served));
        get("/metrics", metrics.WriteAsync);
    }

    /// <summary>Whether the process is alive, which anybody may ask.</summary>
    public static void MapLive(IEndpointRouteBuilder routes, RequestGate gate) =>
        MapOne(routes, gate, HttpMethods.Get, "/health/live", context => Reply.WriteAsync(context, new Health("ok"), WireJson.Default.Health), isOpen: true);

    /// <summary>What is asked before the model is there.</summary>
    public static Task RefuseYet(HttpContext context) =>
        throw new RequestException(StatusCodes.Status503ServiceUnavailable, "unavailable_error", "The model is being loaded", code: "model_loading", retryAfter: 1);

    /// <summary>What is at no other route.</summary>
    public static Task RefuseUnknown(HttpContext context) => throw new RequestException(
        StatusCodes.Status404NotFound, "invalid_request_error", $"Unknown request URL: {context.Request.Method} {RequestException.Shorten(context.Request.Path)}", code: "unknown_url");

    /// <summary>One route behind the gate. What is to be got is told of by HEAD too, and other methods are answered with those that there are.</summary>
    /// <param name="routes">Where.</param>
    /// <param name="gate">Who gets in.</param>
    /// <param name="method">GET or POST.</param>
    /// <param name="pattern">The route.</param>
    /// <param name="answer">What answers.</param>
    /// <param name="isOpen">Whether it asks for no key.</param>
    public static void MapOne(IEndpointRouteBuilder routes, RequestGate gate, string method, string pattern, RequestDelegate answer, bool isOpen = false)
    {
        string[] methods = HttpMethods.IsGet(method) ? [HttpMethods.Get, HttpMethods.Head] : [method];
        routes.MapMethods(pattern, methods, gate.Around(answer, isOpen));
        routes.Map(pattern, gate.Around(context => RefuseMethod(context, methods)));
    }

    private static Task RefuseMethod(HttpContext context, string[] methods)
    {
        context.Response.Headers.Allow = string.Join(", ", methods);
        throw new RequestException(
            StatusCodes.Status405MethodNotAllowed, "invalid_request_error", $"{RequestException.Shorten(context.Request.Method)} is not allowed here; use {methods[0]}", code: "method_not_allowed");
    }

    private static Task ReadyAsync(HttpContext context, ServedModel served)
    {
        if (served.Loop.Fault is not null) throw new RequestException(StatusCodes.Status503ServiceUnavailable, "unavailable_error", "The model has failed", code: "model_failed");
        if (served.Loop.IsClosing) throw new RequestException(StatusCodes.Status503ServiceUnavailable, "unavailable_error", "The server is shutting down", code: "shutting_down");
        return Reply.WriteAsync(context, new Health("ok"), WireJson.Default.Health);
    }
}
