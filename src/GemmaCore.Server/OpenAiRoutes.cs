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
        routes.MapPost("/v1/chat/completions", gate.Around(chat.HandleAsync));
        routes.MapPost("/v1/completions", gate.Around(completions.HandleAsync));
        routes.MapPost("/v1/classify", gate.Around(classes.HandleAsync));
        routes.MapPost("/v1/embeddings", gate.Around(embeddings.HandleAsync));
        if (served.LoadsAdapters)
        {
            routes.MapPost("/v1/load_lora_adapter", gate.Around(adapters.LoadAsync));
            routes.MapPost("/v1/unload_lora_adapter", gate.Around(adapters.UnloadAsync));
        }

        routes.MapGet("/v1/models", gate.Around(models.ListAsync));
        routes.MapGet("/v1/models/{**id}", gate.Around(models.GetAsync));
        routes.MapPost("/tokenize", gate.Around(tokens.TokenizeAsync));
        routes.MapPost("/detokenize", gate.Around(tokens.DetokenizeAsync));
        routes.MapPost("/preview", gate.Around(previews.ShowAsync));
        routes.MapGet("/health/live", gate.Around(context => Reply.WriteAsync(context, new Health("ok"), WireJson.Default.Health), isOpen: true));
        routes.MapGet("/health/ready", gate.Around(context => ReadyAsync(context, served)));
        routes.MapGet("/metrics", gate.Around(metrics.WriteAsync));
    }

    /// <summary>What is at no other route.</summary>
    public static Task RefuseUnknown(HttpContext context) => throw new RequestException(
        StatusCodes.Status404NotFound, "invalid_request_error", $"Unknown request URL: {context.Request.Method} {RequestException.Shorten(context.Request.Path)}", code: "unknown_url");

    private static Task ReadyAsync(HttpContext context, ServedModel served)
    {
        if (served.Loop.Fault is not null) throw new RequestException(StatusCodes.Status503ServiceUnavailable, "unavailable_error", "The model has failed", code: "model_failed");
        if (served.Loop.IsClosing) throw new RequestException(StatusCodes.Status503ServiceUnavailable, "unavailable_error", "The server is shutting down", code: "shutting_down");
        return Reply.WriteAsync(context, new Health("ok"), WireJson.Default.Health);
    }
}
