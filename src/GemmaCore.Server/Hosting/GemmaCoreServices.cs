using GemmaCore.Extensions.AI;
using GemmaCore.Generation;
using GemmaCore.Server.Guards;
using GemmaCore.Server.Observability;
using GemmaCore.Server.Page;
using GemmaCore.Server.RemoteImages;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace GemmaCore.Server;

/// <summary>GemmaCore as a part of a .NET application.</summary>
public static class GemmaCoreServices
{
    /// <summary>
    /// Adds a model: it is loaded when the application starts, which fails with one clear line if that cannot be, and lets answers under way end when the
    /// application stops. Services: <see cref="IChatClient"/> and <see cref="GemmaChatClient"/>, <c>IEmbeddingGenerator</c> for texts and for
    /// pictures, <see cref="ServedModel"/>.
    /// </summary>
    /// <param name="services">The application's services.</param>
    /// <param name="configure">Says which model. Settings can also be bound: <c>services.Configure&lt;GemmaCoreOptions&gt;(section)</c>.</param>
    public static IServiceCollection AddGemmaCore(this IServiceCollection services, Action<GemmaCoreOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        OptionsBuilder<GemmaCoreOptions> options = services.AddOptions<GemmaCoreOptions>().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<GemmaCoreOptions>, GemmaCoreOptions.Validation>());
        services.TryAddSingleton(provider => Load(provider.GetRequiredService<IOptions<GemmaCoreOptions>>().Value, provider.GetService<ImageNetwork>() ?? ImageNetwork.Internet));
        services.TryAddSingleton<ServingMetrics>();
        services.TryAddSingleton(provider => ClientOf(provider.GetRequiredService<ServedModel>()));
        services.TryAddSingleton<IChatClient>(provider => provider.GetRequiredService<GemmaChatClient>());
        services.TryAddSingleton(provider => provider.GetRequiredService<GemmaChatClient>().TextEmbeddings);
        services.TryAddSingleton(provider => provider.GetRequiredService<GemmaChatClient>().ImageEmbeddings);
        services.AddHostedService<ModelLifetime>();
        return services;
    }

    /// <summary>
    /// Maps OpenAI's API, and beside it <c>/health/live</c>, <c>/health/ready</c> and <c>/metrics</c>, with the guards and limits of <see cref="GemmaCoreOptions.Server"/>.
    /// </summary>
    /// <param name="routes">The application.</param>
    /// <param name="prefix">In front of all routes, e.g. <c>/gemma</c> where the application has a <c>/metrics</c> of its own.</param>
    /// <returns>The routes, for <c>RequireAuthorization()</c>, rate limits and the like.</returns>
    public static RouteGroupBuilder MapGemmaCoreOpenAI(this IEndpointRouteBuilder routes, string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(routes);
        IServiceProvider services = routes.ServiceProvider;
        ServedModel served = services.GetService<ServedModel>() ?? throw new InvalidOperationException("MapGemmaCoreOpenAI: there is no model; call services.AddGemmaCore(...) first");
        RouteGroupBuilder group = routes.MapGroup(prefix);
        OpenAiRoutes.Map(group, served, services.GetRequiredService<ServingMetrics>(), Gate(services, served.Options));
        return group;
    }

    /// <summary>Maps the page to talk to the model, for a browser; it finds the API of <see cref="MapGemmaCoreOpenAI"/> under the same prefix.</summary>
    /// <param name="routes">The application.</param>
    /// <param name="prefix">Where; empty for the application's root.</param>
    public static RouteGroupBuilder MapGemmaCorePage(this IEndpointRouteBuilder routes, string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(routes);
        RouteGroupBuilder group = routes.MapGroup(prefix);
        GemmaCoreOptions options = routes.ServiceProvider.GetRequiredService<IOptions<GemmaCoreOptions>>().Value;
        ChatPage.Map(group, Gate(routes.ServiceProvider, options.Server), options.PadPictures);
        return group;
    }

    private static RequestGate Gate(IServiceProvider services, ServerOptions options) => new(options, ServerLog.From(services), ownsListener: false);

    private static ServedModel Load(GemmaCoreOptions options, ImageNetwork network)
    {
        GemmaModel model = GemmaModel.Load(options.ModelPath, options.OpenDevice(), options.Weights, options.Tables);
        model.Prompts = model.Prompts with { PadToSquare = options.PadPictures, ApplyOrientation = options.OrientPictures };
        return new ServedModel(options.Name, model, options.Adapters.AsReadOnly(), options.Server, network);
    }

    private static GemmaChatClient ClientOf(ServedModel served) => new(served.Name, served.Model, served.Loop, served.AdapterOrNull) { Prompts = served.Prompts };
}
